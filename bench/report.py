"""What bench/compare found, as a table for people, as Markdown and as JSON."""

import statistics


def summary(samples):
    """The middle, least and most over the rounds of one engine in one test, and the setting that won most often."""
    rates = [sample["tokens_per_s"] for sample in samples]
    settings = [sample["setting"] for sample in samples]
    peaks = [sample["peak_percent"] for sample in samples if sample["peak_percent"] is not None]
    return {"tokens_per_s": statistics.median(rates), "spread": [min(rates), max(rates)], "rounds": len(rates),
            "setting": max(settings, key=settings.count), "peak_percent": statistics.median(peaks) if peaks else None}


def rows(found):
    """(model, kind, streams, {peer: summary}) for each test, in the order in which they were first measured."""
    tests = {}
    for sample in found["samples"]:
        key = sample["model"], sample["kind"], sample["streams"]
        tests.setdefault(key, {}).setdefault(sample["peer"], []).append(sample)
    for (model, kind, streams), peers in tests.items():
        yield model, kind, streams, {peer: summary(samples) for peer, samples in peers.items()}


def test_name(found, kind, streams):
    if kind == "prefill":
        return f"prefill, {found['prompt']} tokens"
    return f"decode, {streams} stream{'s' if streams > 1 else ''}"


def number(value):
    """Three digits, or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def spread(result):
    return "" if result["rounds"] < 2 else f"{number(result['spread'][0])} to {number(result['spread'][1])}"


def ratio(ours, result):
    return f"{ours['tokens_per_s'] / result['tokens_per_s']:.2f}" if ours and result is not ours else ""


def about(found):
    """Lines that say when, where and how, and what each engine was."""
    machine = found["machine"]
    if machine:
        yield (f"{found['date']}, {machine['cpu']}, {machine['cores']} cores, {found['threads']} threads, kernels for "
               f"{machine['instruction_set']}; these threads read {machine['read_gb_per_s']:.1f} GB/s and did "
               f"{machine['multiply_gmac_per_s']:.0f} G multiply-adds a second ({machine['multiply_kind']}).")
    else:
        yield f"{found['date']}, {found['threads']} threads."
    yield (f"{found['generate']} tokens decoded by each stream, after nothing by one and after {found['context']} by several; "
           f"tokens a second of all streams together, "
           + (f"the middle of {found['rounds']} rounds in turns (least to most)." if found["rounds"] > 1 else "one round."))
    for name, peer in found["peers"].items():
        yield f"{name}: {', '.join(part for part in (peer['version'], peer['note']) if part) or 'no more is known'}."
    for missing in found["missing"]:
        where = f" on {missing['model']}" if missing["model"] else ""
        yield f"Not measured: {missing['peer']}{where}: {missing['reason']}."


def text(found):
    """For people: one line for each engine in each test."""
    out = list(about(found)) + [""]
    out.append(f"{'model':<14} {'test':<22} {'engine':<13} {'tokens/s':>9}  {'least to most':<18} {'native is':>9}  setting")
    for model, kind, streams, peers in rows(found):
        ours = peers.get("native")
        for name, result in peers.items():
            times = ratio(ours, result)
            said = f"{result['peak_percent']:.0f} % of the limit" if name == "native" else result["setting"]
            out.append(f"{model:<14} {test_name(found, kind, streams):<22} {name:<13} {number(result['tokens_per_s']):>9}  "
                       f"{spread(result):<18} {times + ' x' if times else '':>9}  {said}".rstrip())
    return "\n".join(out) + "\n"


def markdown(found):
    """For docs/PERFORMANCE.md: one row for each test, one column for each engine, beside each rival native's ratio to it."""
    tests = list(rows(found))
    names = [name for name in found["peers"] if any(name in peers for *_, peers in tests)]
    rivals = [name for name in names if name != "native"]
    lines = list(about(found))
    lines[1] += " After each rival stands how many times as fast native was."
    out = ["\n".join(lines), "", "| " + " | ".join(["model", "test", "native", "of the limit", *rivals]) + " |",
           "|---" * (4 + len(rivals)) + "|"]
    for model, kind, streams, peers in tests:
        ours = peers.get("native")
        cells = [model, test_name(found, kind, streams), shown(ours, ours),
                 f"{ours['peak_percent']:.0f} %" if ours else ""]
        cells += [shown(peers.get(name), ours) for name in rivals]
        out.append("| " + " | ".join(cells) + " |")
    return "\n".join(out) + "\n"


def shown(result, ours):
    if result is None:
        return ""
    around, times = spread(result), ratio(ours, result)
    return number(result["tokens_per_s"]) + (f" ({around})" if around else "") + (f", {times}" if times else "")
