"""Files, images, video and text: the one reader and the one writer."""
