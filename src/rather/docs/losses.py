"""docs/losses.md."""

from __future__ import annotations

import inspect
import re

from rather.losses import FACTS, LOSSES, Loss, loss_options

_SAID = {"label": "probability", "margin": "margin"}
_INPUTS = {
    "pair": "pairs",
    "sample": "single answers, each good or bad (of a pair both; their mean counts as the pair's loss)",
    "list": "ranked lists",
    "score": "a reward model's scores of pairs (`--objective reward`)",
}


def page() -> str:
    """The page."""
    rows = [f"| [`{name}`](#{name}) | {' | '.join(_overview(name, loss))} |" for name, loss in LOSSES.items()]
    sections = []
    for name, loss in LOSSES.items():
        facts = FACTS[name]
        said = [f"Takes {_INPUTS[facts.input]}; options: {_options(name)}."]
        if facts.takes:
            said.append(f"Uses a pair's {' and '.join(_SAID[take] for take in facts.takes)} if given.")
        if not facts.reference:
            said.append("Needs no reference.")
        if facts.batch:
            said.append(
                "Compares what stands in one update: the whole update counts, however it is cut, and nothing in it has a "
                "weight."
            )
        if facts.unbounded:
            said.append("Has no lower bound.")
        body = (inspect.getdoc(loss) or "").replace("|", "\\|")
        sections.append(f"## `{name}`\n\n{body}\n\n{' '.join(said)}\n")
    return f"""# Losses: what each minimises

Written by `make docs` from the code; do not edit.

`rather train … --loss NAME`, or a weighted sum: `--loss dpo:0.8,sft:0.2`. An option reaches every loss of the sum that takes
it; one that none of them takes is refused. Every loss gives one value a pair; the sum over an update is divided once, by
the pairs of the update. As functions: `rather.losses.LOSSES["dpo"](pair_logps, beta=0.1)`.

A row of pairs may say more than which answer is better: `probability` (that chosen is; the `label` of the formulas), `margin`
(by how much, in units of reward) and `weight` (what the pair's loss is multiplied with). A loss that does not use what a row
says refuses the row. The sum is divided by the number of pairs, not by the sum of their weights: weight 2 is the pair told
twice, whoever its neighbours are, so weights with a mean of 1 leave the learning rate's meaning as it is.

Notation: r_c, r_r are log π(y) − log π_ref(y) of the chosen and the rejected answer, in nats; h = r_c − r_r; \\|y\\| is the number
of tokens of an answer, its end-of-turn included; q is the probability that chosen is better, 1 unless something says less.

| loss | what it is of each pair [P], single answer [R] or list [L] | takes | options | source |
|---|---|---|---|---|
{chr(10).join(rows)}

The SFT term of `--sft-weight` is `sft`; TR-DPO's moving reference is `--ref-sync-steps` with any loss that has a reference
but tdpo; f-divergences are `--f-divergence` with the losses that list it.

{chr(10).join(sections)}"""


def _overview(name: str, loss: Loss) -> tuple[str, str, str, str]:
    """Formula, kinds of data, options and paper of a loss; formula and paper as its docstring begins."""
    text = " ".join((inspect.getdoc(loss) or "").split()).replace("|", "\\|")
    formula, kind, _ = re.split(r"( ?\[[PRL]\])", text, maxsplit=1)
    papers = [f"[{number}](https://arxiv.org/abs/{number})" for number in re.findall(r"arXiv (\d+\.\d+)", text)]
    return formula + kind, _KINDS[FACTS[name].input], _options(name), papers[0] if papers else "–"


_KINDS = {
    "pair": "pairs",
    "sample": "single answers, pairs",
    "list": "ranked lists",
    "score": "pairs (`--objective reward`)",
}


def _options(name: str) -> str:
    return ", ".join(f"`{option}` ({default})" for option, default in loss_options(name).items()) or "none"
