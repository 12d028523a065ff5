"""Reading files, ordering samples and forming composite batches."""
