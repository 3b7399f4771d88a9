"""Will it fit, how long, what does it cost: formulas over a model's config, without its weights and without torch.

Import from its files. `run.py` is a plan from top to bottom; `memory.py` and `flops.py` follow what the engine does, and
`benchmarks/planning.py` compares them with runs.
"""
