from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from umbel import View
from umbel.tasks.detection.model.anchors import COCO_ANCHORS
from umbel.tasks.detection.model.assign import match
from umbel.tasks.detection.model.boxes import overlap
from umbel.tasks.detection.model.loss import BALANCE, Gains, detection_loss

ROWS = "rows_b_a_gj_gi_cls_tx_ty_tw_th_aw_ah_ciou"


def inputs(case, wave):
    shapes = [(case["bs"], 3, ny, nx, 5 + case["nc"]) for ny, nx in case["grids_ny_nx"]]
    maps = [wave(shape, 0.11, 0.5 * level, 1.5).requires_grad_() for level, shape in enumerate(shapes)]
    return maps, torch.tensor(case["targets"], dtype=torch.float32).view(-1, 6)


def test_loss_and_gradients_equal_the_reference(golden, wave, anchors):
    for name, case in golden("yolo_loss.json")["cases"].items():
        maps, rows = inputs(case, wave)
        hyp = case["hyp"]
        losses = detection_loss(
            maps,
            rows,
            anchors,
            Gains(hyp["box"], hyp["obj"], hyp["cls"]),
            label_smoothing=hyp["label_smoothing"],
            anchor_t=hyp["anchor_t"],
        )
        losses.total.backward()
        items = [losses.parts[key].item() for key in ("box", "obj", "cls")]
        assert losses.total.item() == pytest.approx(case["total"], rel=1e-5), name
        assert items == pytest.approx(case["items_box_obj_cls"], rel=1e-5), name
        assert [x.grad.norm().item() for x in maps] == pytest.approx(case["grad_l2"], rel=1e-5), name
        assert [x.grad.abs().sum().item() for x in maps] == pytest.approx(case["grad_abs_sum"], rel=1e-5), name


def test_matched_rows_equal_the_reference(golden, wave, anchors, close):
    for case in golden("yolo_loss.json")["cases"].values():
        maps, rows = inputs(case, wave)
        for level, expected in enumerate(case["levels"]):
            found = match(rows, tuple(case["grids_ny_nx"][level]), anchors[level] / (8 << level), 4.0)
            counts = found.matched_C
            image, anchor, row, column = torch.unravel_index(found.cell_C[counts], maps[level].shape[:4])
            boxes, sizes = found.boxes_C4[counts], found.anchors_C2[counts]
            cells = torch.stack((image, anchor, row, column), dim=1)
            assert (len(cells), len(cells.unique(dim=0))) == (expected["n"], expected["unique_cells"])
            if not expected.get(ROWS):
                continue
            fields = maps[level][image, anchor, row, column].sigmoid()
            predicted = torch.cat((2 * fields[:, :2] - 0.5, (2 * fields[:, 2:4]) ** 2 * sizes), dim=1)
            iou = overlap(predicted, boxes)[:, None]
            table = torch.cat((cells, found.class_C[counts, None], boxes, sizes, iou), dim=1)
            close(in_order(table.tolist()), in_order(expected[ROWS]))


def in_order(rows):
    return sorted(rows, key=lambda row: (row[:4], round(row[5], 4)))


def test_overlaps_equal_the_reference(golden, close):
    content = golden("iou_variants.json")
    boxes = [torch.tensor(content[key], dtype=torch.float32) for key in ("box1", "box2")]
    for kind in ("iou", "giou", "diou", "ciou"):
        close(overlap(*boxes, kind), content[kind])


def test_gains_scale_as_spec_quotes():
    gains = Gains().scaled(45, (1024, 1024))
    assert (gains.box, gains.cls, gains.obj) == pytest.approx((0.05, 0.28125, 2.56))


def test_task_scales_gains_when_asked(coco_folder, make_task, wave):
    maps = [wave((2, 3, n, n, 7), 0.3, 0.0, 1.0) for n in (4, 2, 1)]
    rows = {"rows": torch.tensor([[0, 1, 0.5, 0.5, 0.5, 0.5]])}
    plain = make_task(coco_folder(), size=(32, 64)).loss(maps, rows).parts
    scaled = make_task(coco_folder(), size=(32, 64), gain_scaling="ultralytics").loss(maps, rows).parts
    assert scaled["box"].item() == pytest.approx(plain["box"].item())
    assert scaled["obj"].item() == pytest.approx(plain["obj"].item() * 0.01)  # (64 / 640) squared
    assert scaled["cls"].item() == pytest.approx(plain["cls"].item() * 2 / 80)


def naive_matches(row, grid, anchors, threshold):
    """YOLOv5's rule with loops, in exact steps of float32."""
    ny, nx = grid
    x, y, w, h = (row[2] * nx, row[3] * ny, row[4] * nx, row[5] * ny)
    found = []
    for a, (aw, ah) in enumerate(anchors):
        if max(w / aw, aw / w, h / ah, ah / h) >= threshold:
            continue
        offsets = [(0, 0)]
        offsets += [(0.5, 0)] if x % 1 < 0.5 and x > 1 else []
        offsets += [(0, 0.5)] if y % 1 < 0.5 and y > 1 else []
        offsets += [(-0.5, 0)] if (nx - x) % 1 < 0.5 and nx - x > 1 else []
        offsets += [(0, -0.5)] if (ny - y) % 1 < 0.5 and ny - y > 1 else []
        for ox, oy in offsets:
            column, line = min(max(int(x - ox), 0), nx - 1), min(max(int(y - oy), 0), ny - 1)
            found.append((int(row[0]), a, line, column, int(row[1]), x - column, y - line, w, h, aw, ah))
    return found


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 2),
            st.integers(0, 3),
            *[st.integers(0, 64).map(lambda v: v / 64)] * 2,  # cell borders and image edges included
            *[st.integers(1, 64).map(lambda v: v / 64)] * 2,
        ),
        max_size=6,
    )
)
def test_matches_equal_the_rule_in_loops(rows):
    grid, sizes = (8, 16), [(1.0, 1.5), (2.0, 4.0), (4.0, 3.0)]
    found = match(torch.tensor(rows, dtype=torch.float32).view(-1, 6), grid, torch.tensor(sizes), 4.0)
    cells = torch.stack((*torch.unravel_index(found.cell_C, (3, 3, *grid)), found.class_C), dim=1)
    cells = torch.cat((cells, found.boxes_C4, found.anchors_C2), dim=1)[found.matched_C]
    expected = [cell for row in rows for cell in naive_matches(row, grid, sizes, 4.0)]
    assert sorted(map(tuple, cells.tolist())) == sorted(expected)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31 - 1), st.integers(0, 8), st.sampled_from([1, 4]))
def test_loss_is_finite_and_reaches_every_map(seed, labels, classes):
    generator = torch.Generator().manual_seed(seed)
    maps = [
        (300 * torch.randn((2, 3, 4 >> level, 4 >> level, 5 + classes), generator=generator)).requires_grad_()
        for level in range(3)
    ]
    rows = torch.rand((labels, 6), generator=generator)
    rows[:, 0] = (rows[:, 0] * 2).floor()
    rows[:, 1] = (rows[:, 1] * classes).floor()
    total = detection_loss(maps, rows, torch.tensor(COCO_ANCHORS).view(3, 3, 2), Gains()).total
    total.backward()
    assert total.isfinite()
    assert all(x.grad is not None and x.grad.isfinite().all() for x in maps)


def test_half_precision_maps_are_computed_in_float32(anchors, wave):
    maps = [wave((1, 3, n, n, 7), 0.3, 0.0, 1.0).bfloat16() for n in (4, 2, 1)]
    rows = torch.tensor([[0, 1, 0.5, 0.5, 0.5, 0.5]])
    low = detection_loss(maps, rows, anchors, Gains()).total
    assert low.dtype == torch.float32
    assert low.item() == pytest.approx(detection_loss([x.float() for x in maps], rows, anchors, Gains()).total.item())


def test_one_class_trains_no_class_output(anchors, wave):
    maps = [wave((1, 3, n, n, 6), 0.3, 0.0, 1.0) for n in (4, 2, 1)]
    losses = detection_loss(maps, torch.tensor([[0, 0, 0.5, 0.5, 0.5, 0.5]]), anchors, Gains())
    assert losses.parts["cls"].item() == 0.0
    assert losses.parts["box"].item() > 0.0


def test_task_multiplies_by_images_and_factor(coco_folder, make_task, wave):
    task = make_task(coco_folder(), size=(32, 32), det_loss_factor=3.0)
    maps = [wave((2, 3, n, n, 7), 0.3, 0.0, 1.0) for n in (4, 2, 1)]
    losses = task.loss(maps, {"rows": torch.zeros((0, 6))})
    expected = sum(b * bce(x[..., 4], torch.zeros_like(x[..., 4])) for b, x in zip(BALANCE, maps, strict=True))
    assert losses.total.item() == pytest.approx(3.0 * 2 * expected.item(), rel=1e-6)
    assert math.isfinite(losses.total.item())
    assert task.decode(maps, View((32, 32)))[0].size == (32, 32)
