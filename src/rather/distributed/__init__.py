"""More than one process: started by torchrun, joined, watched, sharing what they compute. Import from its files: this one stays
free of torch."""
