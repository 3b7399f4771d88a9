"""Work done by the workers of a Ray cluster. ray is imported here alone, and only when there is something to do.

cluster.py   a cluster of this run's own, or one that is running; what can be wrong with either
spread.py    a list of items, done block by block on Ray Data; results come in the order of the items
once.py      what a worker opens for its first block and keeps for the next
ranks.py     a function called on every rank, placed and started again by Ray Train
"""
