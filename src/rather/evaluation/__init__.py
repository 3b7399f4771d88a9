"""Did it work: held-out pairs, what the model says, and how far it drifted."""
