"""A plan as lines of text."""

from __future__ import annotations

from collections.abc import Iterator

from rather.planning.choices import Choice
from rather.planning.memory import trained_weights
from rather.planning.numbers import said_bytes, said_flops, said_seconds
from rather.planning.run import Plan


def lines(plan: Plan) -> Iterator[str]:
    """What `rather plan` prints."""
    shape, config, asked = plan.shape, plan.config, plan.asked
    work, held = config.workload, asked.held
    capacity = asked.machines.device.memory
    trained = trained_weights(shape, asked.setting)
    yield (
        f"{plan.model}: {shape.weights:,} weights, {trained:,} trained; {work.pairs:,} pairs, {work.updates:,} updates, "
        f"{asked.machines}"
    )
    yield ""
    verdict = "it fits" if plan.fits else "NOT EVERY PAIR FITS" if asked.holds else "IT DOES NOT FIT"
    whose = "this machine" if asked.setting.cpu else "one GPU"
    yield f"memory of {whose}: {verdict}, {said_bytes(held.peak)} of {said_bytes(capacity)}"
    for name, size in held.update.items():
        yield f"  {name:28} {said_bytes(size):>10}"
    yield f"  {'an update, in all':28} {said_bytes(sum(held.update.values())):>10}"
    if held.update.get("gradients", 0) < held.gradients:
        yield f"  {'gradients, as activations go':28} {said_bytes(held.gradients):>10}"
    for name, size in (("while the model is loaded", held.loading), ("while a checkpoint is written", held.checkpoint)):
        yield f"  {name:29} {said_bytes(size):>9}"
    yield (
        f"  {held.budget:,} tokens at a time, {held.micro_batches} micro-batch{'es' if held.micro_batches > 1 else ''} an update "
        f"on each; the longest pair there is room for has {held.longest:,.0f} tokens"
    )
    if held.longest < work.longest:
        yield f"  --max-length {work.max_length:,} allows pairs of {work.longest:,}: lower it, or take a setting below"
    if shape.positions is not None and work.max_length > shape.positions:
        yield f"  warning: --max-length {work.max_length:,} is more than the model's {shape.positions:,} positions"
    yield (
        f"memory for the pairs themselves: {said_bytes(plan.host_bytes)} a machine; the reference cache on disk: "
        f"{said_bytes(plan.reference_bytes)}"
    )
    yield ""
    yield from _cost(plan)
    yield ""
    yield from _others(plan)
    yield ""
    yield "assumed:"
    yield from (f"  {said}" for said in plan.assumptions())


def _cost(plan: Plan) -> Iterator[str]:
    asked, flops, each = plan.asked, plan.flops, plan.asked.times
    yield f"time: {said_seconds(asked.seconds)}, {_hours(asked)}"
    yield f"  reference, once               {'from the cache' if plan.config.reference_cached else said_seconds(each.reference)}"
    yield f"  an update                     {said_seconds(each.update)}"
    for name, seconds in (
        ("products", each.products), ("optimiser", each.optimiser), ("calls", each.overhead),
        ("waiting for what ranks send", each.between_ranks), ("waiting for the fullest rank", each.unequal),
    ):  # fmt: skip
        if seconds:
            yield f"    {name:27} {said_seconds(seconds)}"
    if asked.machines.ranks > plan.config.batch_pairs:
        yield f"  warning: {asked.machines.ranks} GPUs for {plan.config.batch_pairs} pairs an update: some have nothing to do"
    yield (
        f"work: {said_flops(flops['updates'] + flops['reference'])} ({said_flops(flops['fewest'])} if nothing were computed twice)"
    )
    energy = plan.kilowatt_hours
    yield f"energy: {energy:,.3g} kWh" if energy is not None else "energy: say --watts"
    money = plan.money
    yield f"cost: {money:,.2f}" if money is not None else f"cost: {_hours(asked)}; with --price it is money"


def _others(plan: Plan) -> Iterator[str]:
    same, any_ = plan.same, plan.cheapest
    if any_ is None:
        yield "nothing fits: take a larger device, a smaller model, or a lower --max-length"
        return
    if same is None:
        yield "no setting that learns the same fits"
    else:
        yield f"cheapest that learns the same: {_said(plan, same)}"
    if any_ is not same:
        yield f"cheapest of all: {_said(plan, any_)}"


def _said(plan: Plan, one: Choice) -> str:
    found = f"{one.machines}, {said_bytes(one.held.peak)}, {said_seconds(one.seconds)}, {_hours(one)}"
    return f"{found}\n  {plan.command(one)}"


def _hours(one: Choice) -> str:
    unit = "hours of this machine" if one.setting.cpu else f"{one.machines.device.name} hours"
    return f"{one.device_hours:,.3g} {unit}"
