"""Fresh answers every few updates: the policy answers, judges say which answer is better, and it learns from that at once.

As rounds are, but with answers that are never older than `every` updates (Guo et al. 2024, arXiv 2402.04792). One process holds the
policy, its reference, and the judges. What is drawn depends on the seed and on how many updates are done: a run that was stopped
goes on from its last checkpoint as if nothing had been.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from rather.errors import ConfigError, NothingToPair
from rather.formats import WRITERS
from rather.generation.diversity import distinct, words_of
from rather.generation.sampling import Draw, draw
from rather.judging import Candidates
from rather.judging.options import Member, members_of
from rather.looping.config import LoopConfig
from rather.model import Completions, Loaded, Renderer, Sample, TokenPair, completions, load, model_hash, save
from rather.model.check import packing_is_exact
from rather.progress import say, task
from rather.records import Pair, Question, Rating, Response, content_id
from rather.rundir import RunDir, atomic_file, atomic_folder, open_run, peak_memory_gb, read_manifest, sweep_scratch
from rather.training.allocator import Heap, give_back_memory, keep_freed_memory
from rather.training.baseline import Baseline
from rather.training.batches import micro_batches
from rather.training.checkpoint import Progress, latest_checkpoint, load_checkpoint, save_checkpoint
from rather.training.memory import ENOUGH
from rather.training.objective import objective_of
from rather.training.precision import optimizer_of
from rather.training.schedule import learning_rate
from rather.training.step import MicroBatch, train_step

PAIRS, METRICS, MODEL, CHECKPOINTS = "pairs.jsonl", "metrics.jsonl", "model", "checkpoints"


@dataclass(frozen=True)
class Drawn:
    """One pair as it was sampled: the record for people, the tokens for the model."""

    pair: Pair
    token_pair: TokenPair


@dataclass
class Fresh:
    """What one set of fresh answers came to."""

    pairs: list[Drawn]
    answers: list[Response] = field(default_factory=list)
    ties: int = 0


@dataclass
class Online:
    """Everything that answering, judging and learning need, in memory."""

    policy: Loaded
    reference: torch.nn.Module
    renderer: Renderer
    judges: Sequence[Member]
    config: LoopConfig
    dtype: torch.dtype
    packed: bool
    seed: int

    def fresh(self, questions: Sequence[Question], cycle: int) -> Fresh:
        """Answer the questions, and take of each the best answer and the worst, where they differ in what the judges say."""
        table = self.config.generate
        prompts = [self.renderer.prompt_tokens(question.prompt) for question in questions]
        draws = [
            Draw(place, temperature, self.seed * 1_000_003 + (cycle * len(questions) + place) * table.n + number)
            for place in range(len(questions))
            for temperature in table.temperature
            for number in range(table.n)
        ]
        said: dict[int, Response] = {}

        def on_done(index: int, tokens: tuple[int, ...]) -> None:
            finished = bool(tokens) and tokens[-1] in self.renderer.stop_tokens
            text = self.renderer.decode(tokens[:-1] if finished else tokens)
            question = questions[draws[index].prompt]
            said[index] = Response(
                question=question, text=text if isinstance(question.prompt, str) else text.strip(), tokens=tokens,
                model=self.policy.path, finished=finished, temperature=draws[index].temperature,
            )  # fmt: skip

        draw(
            self.policy, prompts, draws, stops=self.renderer.stop_tokens, max_new_tokens=table.max_new_tokens,
            top_p=table.top_p, dtype=self.dtype, batch=table.batch, on_done=on_done,
        )  # fmt: skip
        each = len(draws) // len(questions)
        groups = [[said[place * each + number] for number in range(each)] for place in range(len(questions))]
        return self._paired(groups)

    def _paired(self, groups: Sequence[Sequence[Response]]) -> Fresh:
        candidates = [own for group in groups if (own := _different(group)) is not None]
        scores = self._scores(candidates)
        made = Fresh([], [answer for group in groups for answer in group])
        for asked in candidates:
            known = [(scores[answer.id], answer) for answer in asked.responses if answer.id in scores]
            if len(known) < 2:
                continue
            best = max(known, key=lambda item: item[0])
            worst = min(known, key=lambda item: item[0])
            if best[0] == worst[0]:
                made.ties += 1
                continue
            made.pairs.append(self._drawn(best[1], worst[1]))
        return made

    def _drawn(self, best: Response, worst: Response) -> Drawn:
        pair = Pair(prompt=best.question.prompt, chosen=best.text, rejected=worst.text)
        # The very tokens that were drawn: an answer that was cut has no end-of-turn to learn.
        chosen, rejected = (self.renderer.response(answer) for answer in (best, worst))
        return Drawn(pair, TokenPair(pair, chosen, rejected, not best.finished, not worst.finished))

    def _scores(self, candidates: Sequence[Candidates]) -> dict[str, float]:
        """answer → mean of what the judges say of it; answers that one of them is silent about have none."""
        found: dict[str, list[float]] = {}
        for member in self.judges:
            for outcome in member.judge.judge(candidates, signed=member.signed):
                for rating in outcome.judgments:
                    if not isinstance(rating, Rating):
                        raise ConfigError(f"[online] takes judges that rate answers, and {member.signed} compares them")
                    key = content_id([_plain(rating.prompt), rating.answer])
                    found.setdefault(key, []).append(rating.score)
        return {key: sum(said) / len(said) for key, said in found.items() if len(said) == len(self.judges)}

    def reference_of(self, samples: Sequence[Sample]) -> Completions:
        """What the reference says of them."""
        with torch.no_grad():
            return completions(self.reference, samples, dtype=self.dtype, packed=self.packed)


def _different(group: Sequence[Response]) -> Candidates | None:
    """The answers that say something, each once; None where there are not two."""
    once = {answer.text: answer for answer in group if answer.text.strip()}
    if len(once) < 2:
        return None
    answers = tuple(once.values())
    return Candidates(group[0].question, answers, tuple(dict(group[0].question.tags) for _ in answers))


def _plain(prompt: Any) -> Any:
    return Question(prompt=prompt).id


def online(
    questions: Sequence[Question],
    *,
    out: Path,
    model: str,
    reference: str | None,
    panel: Path,
    config: LoopConfig,
    dtype: str,
    seed: int,
) -> dict[str, Any]:
    """Train `model` on answers of its own into `out/model`; what came of it, for round.json.

    reference: the model to stay near to, where that is not `model`. Raises NothingToPair where no answers differ to the judges.
    """
    table = config.online
    assert table is not None
    members = members_of((), {}, panel)
    inputs = {"model": model_hash(model), "questions": content_id([question.id for question in questions])}
    if reference is not None:
        inputs["reference"] = model_hash(reference)
    for member in members:
        inputs |= {f"{member.signed} {name}": value for name, value in member.judge.inputs().items()}
    settings = {
        "online": table.model_dump(), "generate": config.generate.model_dump(mode="json"),
        "train": config.train.model_dump(mode="json", exclude={"save_every", "keep_last", "track"}),
        "judges": [member.config for member in members], "dtype": dtype, "seed": seed, "system_prompt": config.system_prompt,
    }  # fmt: skip
    with open_run(out, step="loop online", config=settings, inputs=inputs) as run:
        if not run.done:
            _run(run, questions, model, reference, members, config, dtype, seed)
    return read_manifest(out)["facts"]


def _run(
    run: RunDir, questions: Sequence[Question], model: str, reference: str | None, members: Sequence[Member],
    config: LoopConfig, dtype: str, seed: int,
) -> None:  # fmt: skip
    keep_freed_memory()
    sweep_scratch(run.path)
    sweep_scratch(run.path / CHECKPOINTS)
    torch.manual_seed(seed)
    policy = load(model)
    precision = torch.bfloat16 if dtype == "bf16" else torch.float32
    other = load(reference or model).model.requires_grad_(False)
    renderer = Renderer(policy.tokenizer, stop_tokens=policy.stop_tokens, system_prompt=config.system_prompt)
    some = [(Sample(tuple(renderer.prompt_tokens(question.prompt)), 1),) for question in questions[:2]]
    packed = packing_is_exact(policy.model, some, dtype=precision)
    this = Online(policy, other, renderer, members, config, precision, packed, seed)
    try:
        facts = _updates(run, this, questions)
        with atomic_folder(run.path / MODEL) as scratch:
            save(Loaded(policy.model, policy.tokenizer, policy.path), scratch, system_prompt=config.system_prompt)
    finally:
        give_back_memory()
    run.finish(outputs=(MODEL, METRICS, PAIRS), facts=facts, base_model=model, peak_memory_gb=peak_memory_gb())


def _updates(run: RunDir, this: Online, questions: Sequence[Question]) -> dict[str, Any]:
    """All updates, from the last checkpoint on."""
    table, config = this.config.online, this.config.train
    assert table is not None
    trainable = [parameter for parameter in this.policy.model.parameters() if parameter.requires_grad]
    optimizer = optimizer_of(config, trainable)
    done, checkpoint = Progress(), latest_checkpoint(run.path / CHECKPOINTS)
    if checkpoint is not None:
        done = load_checkpoint(checkpoint, this.policy.model, optimizer)
        say(f"{run.path}: goes on after update {done.step} of {table.updates}")
    started, heap = time.monotonic() - done.seconds, Heap()
    log = _Log(run.path, done.step)
    with task("online", table.updates, done=done.step) as bar:
        for step in range(done.step, table.updates, table.every):
            count = min(table.every, table.updates - step)
            began = time.monotonic()
            fresh = this.fresh(_asked(questions, step, count * config.batch_pairs, this.seed), step)
            sampled = time.monotonic() - began
            rows = list(_learned(this, optimizer, fresh, step, count))
            spent = time.monotonic() - began
            for row in rows:
                row |= {"sampling_share": sampled / spent, "answers_per_s": len(fresh.answers) / spent}
            log.add(rows, fresh)
            bar.advance(
                count, f"{len(fresh.pairs)} pairs, {fresh.ties} ties, {len(fresh.answers) / spent:.1f} answers/s"
            )
            heap.after_update()
            now = step + count
            if now == table.updates or now // config.save_every > step // config.save_every:
                save_checkpoint(
                    run.path / CHECKPOINTS, this.policy.model, optimizer,
                    Progress(step=now, seconds=time.monotonic() - started), keep_last=config.keep_last,
                )  # fmt: skip
    return log.facts(time.monotonic() - started)


def _learned(
    this: Online, optimizer: torch.optim.Optimizer, fresh: Fresh, step: int, count: int
) -> Iterator[dict[str, float]]:
    """`count` updates from one set of answers, each from its share of the pairs; fewer where there are fewer pairs."""
    config, table = this.config.train, this.config.online
    assert table is not None
    objective = objective_of(config)
    items = [drawn.token_pair for drawn in fresh.pairs]
    budget = ENOUGH.get(this.policy.model.device.type, 4096)
    for number in range(count):
        own = tuple(range(number, len(items), count))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(
                step + number, table.updates, peak=config.peak_lr, warmup=config.warmup, schedule=config.schedule
            )
        if not own:
            yield {"step": step + number + 1, "pairs": 0}
            continue
        batches = []
        for cut in micro_batches(own, items, token_budget=budget):
            samples = [sample for index in cut for sample in items[index].samples]
            batches.append(
                MicroBatch(
                    tuple(items[index].samples for index in cut),
                    this.reference_of(samples),
                    tuple(items[index].record.id for index in cut),
                )
            )
        stats = train_step(
            this.policy.model, batches, objective, optimizer, max_grad_norm=config.max_grad_norm,
            reward_scale=config.reward_scale, dtype=this.dtype, packed=this.packed, baseline=Baseline.of(objective),
        )  # fmt: skip
        yield {"step": step + number + 1, "pairs": len(own), **stats.row()}


def _asked(questions: Sequence[Question], step: int, count: int, seed: int) -> list[Question]:
    """The next so many questions, in an order drawn anew for every time round."""
    found: list[Question] = []
    place = step * count
    while len(found) < count:
        turn, offset = divmod(place + len(found), len(questions))
        order = list(questions)
        random.Random(f"{seed}/{turn}").shuffle(order)
        found += order[offset : offset + count - len(found)]
    return found


class _Log:
    """metrics.jsonl and pairs.jsonl: what was written behind the checkpoint that a run goes on from is written anew."""

    def __init__(self, out: Path, steps: int) -> None:
        self.metrics, self.pairs = out / METRICS, out / PAIRS
        for file, key in ((self.metrics, "step"), (self.pairs, "online_step")):
            kept = [row for row in _rows(file) if _step(row, key) <= steps]
            with atomic_file(file) as target:
                target.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in kept)

    def add(self, rows: Sequence[Mapping[str, Any]], fresh: Fresh) -> None:
        step = rows[-1]["step"]
        with self.pairs.open("a", encoding="utf-8") as file:
            for drawn in fresh.pairs:
                pair = drawn.pair.model_copy(update={"tags": {"online_step": str(step)}})
                file.write(json.dumps(WRITERS["pair"].write(pair), ensure_ascii=False) + "\n")
        words = [words_of(answer.text) for answer in fresh.answers]
        known = {
            "answers": len(fresh.answers), "tokens": sum(len(answer.tokens or ()) for answer in fresh.answers),
            "ties": fresh.ties, "distinct_2": distinct(words, 2),
        }  # fmt: skip
        with self.metrics.open("a", encoding="utf-8") as file:
            for number, row in enumerate(rows):
                file.write(json.dumps({**row, **(known if number == len(rows) - 1 else {})}) + "\n")

    def facts(self, seconds: float) -> dict[str, Any]:
        """Of the whole run. Raises NothingToPair where no update had a pair."""
        rows = list(_rows(self.metrics))
        learned = [row for row in rows if row["pairs"]]
        if not learned:
            raise NothingToPair("no two answers to a question differ in what the judges say of them")
        answers = sum(row.get("answers", 0) for row in rows)
        shares = [row["distinct_2"] for row in rows if row.get("distinct_2") is not None]
        return {
            "answers": answers, "tokens": sum(row.get("tokens", 0) for row in rows), "pairs": sum(row["pairs"] for row in rows),
            "ties": sum(row.get("ties", 0) for row in rows), "updates": len(learned), "empty_updates": len(rows) - len(learned),
            "last": learned[-1], "seconds": round(seconds, 3), "answers_per_s": round(answers / seconds, 3),
            "distinct_2": sum(shares) / len(shares) if shares else None,
        }  # fmt: skip


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    """Whole lines; one that a kill cut short is none."""
    if not file.is_file():
        return
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            try:
                yield json.loads(line)
            except ValueError:
                return


def _step(row: Mapping[str, Any], key: str) -> int:
    return int(row["tags"][key] if key == "online_step" else row[key])
