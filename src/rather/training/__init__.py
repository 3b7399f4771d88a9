"""Training: prepare, reference, batches, the step, the run, checkpoints. Import from its files: this one stays free of torch."""
