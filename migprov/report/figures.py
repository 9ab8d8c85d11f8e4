"""What a report comes to: the large figures, the table of totals, and the sentence above them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..capacity.account import Account, Totals
from .model import Report
from .numbers import count, gib, money, percent, period

_NAMED = 6


@dataclass(frozen=True)
class Value:
    """A number in words, and as it is; None where it is not known."""

    text: str
    exact: float | None
    below: str = ""


@dataclass(frozen=True)
class Figure:
    """One figure: before (None where nothing is known of it), after, and what to know beside. `key` names it."""

    key: str
    label: str
    before: Value | None
    after: Value
    beside: str = ""

    @property
    def values(self) -> list[tuple[str, Value]]:
        """What there is of it, with when."""
        return [("before", self.before), ("after", self.after)] if self.before else [("after", self.after)]


def headline(report: Report) -> str:
    """The report in one sentence."""
    account = report.account
    before = account.before
    if before is None:
        return f"{count(account.after.in_use, 'card')} of {account.after.cards:,} in use"
    freed = len(account.freed)
    if not freed:
        return "No card is freed" if report.of == "plan" else "No card was freed"
    verb = ("is" if freed == 1 else "are") if report.of == "plan" else ("was" if freed == 1 else "were")
    return f"{freed:,} of {count(before.in_use, 'card')} {verb} freed"


def figures(report: Report) -> list[Figure]:
    """The three that people come for; money only where prices are known."""
    account = report.account
    found = [
        _figure(account, "efficiency", "Memory used, of the cards in use", _efficiency, _left_out(account)),
        _figure(account, "in_use", "Cards in use", _in_use, _freed(account)),
    ]
    if account.after.per_hour is not None or (account.before and account.before.per_hour is not None):
        label = f"Cost of the cards in use, {period(account.hours)}"
        cost = _figure(account, "for_hours", label, lambda total: _cost(total, account, report.currency))
        found.append(Figure(cost.key, cost.label, cost.before, cost.after, _saved(account, report.currency)))
    return found


def rows(report: Report) -> list[Figure]:
    """The table of totals."""
    account = report.account

    def mib(amount: int) -> Value:
        return Value(f"{gib(amount)} GiB", amount)

    def share(amount: float | None) -> Value:
        return Value(percent(amount), amount)

    found = [
        _figure(account, "cards", "Cards that were planned with", lambda total: Value(f"{total.cards:,}", total.cards)),
        _figure(account, "in_use", "Cards in use", lambda total: Value(f"{total.in_use:,}", total.in_use)),
        _figure(account, "memory_mib", "Memory of the cards in use", lambda total: mib(total.memory_mib)),
        _figure(account, "allocated_mib", "Memory that is allocated", lambda total: mib(total.allocated_mib)),
        _figure(account, "used_mib", "Memory that is used", lambda total: mib(total.used_mib)),
        _figure(account, "efficiency", "Used, of the cards in use", lambda total: share(total.efficiency)),
        _figure(account, "fill", "Used, of what is allocated", lambda total: share(total.fill)),
    ]
    if report.of != "plan":
        found[0] = Figure("cards", "Cards", found[0].before, found[0].after)
    if any(total and total.per_hour is not None for total in (account.before, account.after)):
        found += [
            _figure(
                account,
                "per_hour",
                "Cost an hour",
                lambda total: Value(money(total.per_hour, report.currency), total.per_hour),
            ),
            _figure(
                account,
                "for_hours",
                f"Cost, {period(account.hours)}",
                lambda total: _cost(total, account, report.currency),
            ),
        ]
    return found


def _figure(account: Account, key: str, label: str, of: Callable[[Totals], Value], beside: str = "") -> Figure:
    before = account.before
    return Figure(key, label, None if before is None else of(before), of(account.after), beside)


def _efficiency(total: Totals) -> Value:
    below = f"{gib(total.used_mib)} of {gib(total.memory_mib)} GiB" if total.memory_mib else ""
    return Value(percent(total.efficiency), total.efficiency, below)


def _in_use(total: Totals) -> Value:
    return Value(f"{total.in_use:,}", total.in_use, f"of {total.cards:,}")


def _cost(total: Totals, account: Account, currency: str) -> Value:
    amount = account.money(total.per_hour)
    return Value(money(amount, currency), amount)


def _freed(account: Account) -> str:
    freed = account.freed
    if not freed:
        return "none freed" if account.compared else ""
    more = f" and {len(freed) - _NAMED:,} more" if len(freed) > _NAMED else ""
    return f"freed: {', '.join(card.name for card in freed[:_NAMED])}{more}"


def _saved(account: Account, currency: str) -> str:
    saved = account.money(account.saved_per_hour)
    if saved is None or round(saved, 2) == 0:
        return "" if saved is None else "no less, no more"
    return f"{money(abs(saved), currency)} {'less' if saved > 0 else 'more'}"


def _left_out(account: Account) -> str:
    return "; ".join(_left_out_of(account))


def _left_out_of(account: Account) -> Iterator[str]:
    for when, total in (("before", account.before), ("after", account.after)):
        if total is not None and total.left_out:
            yield f"without {count(total.left_out, 'card')} {when} whose memory or use is not known"
