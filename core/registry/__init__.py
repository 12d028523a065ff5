"""Finding plugins, making what they offer, and guarding every call into it."""
