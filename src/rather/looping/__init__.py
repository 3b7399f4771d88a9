"""Rounds of generate → judge → pair → audit → train → evaluate, each from the model that the one before it left."""
