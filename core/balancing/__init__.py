"""Setting the tasks' weights from what a step shows; the built-in balancers come through the hook as any other does."""

from __future__ import annotations

from umbel.contract.hooks import hookimpl


@hookimpl
def umbel_balancers() -> dict[str, str]:
    """Balancers by the name that a recipe writes."""
    return {
        "fixed": "umbel.contract.balancer:FixedBalancer",
        "gradient_norm": "umbel.balancing.scales:GradientNormBalancer",
        "loss_scale": "umbel.balancing.scales:LossScaleBalancer",
        "uncertainty": "umbel.balancing.uncertainty:UncertaintyBalancer",
    }
