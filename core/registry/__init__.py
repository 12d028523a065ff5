"""Finding plugins, making what they register, and guarding every call into it."""
