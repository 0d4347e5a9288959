"""
`backoffice schedule`: the alarm clock as a process.
"""

from __future__ import annotations

import click

from console.asking import Asked, asks, back_office, beginning, day_of
from console.journal import note
from console.output import give, out, say, table


@click.command("schedule")
@click.option("--once", is_flag=True, help="Ring once and stop.")
@click.option("--confirm-clock", is_flag=True, help="The clock is right, though nothing happened here for a month.")
@asks
def schedule_command(asked: Asked, once: bool, confirm_clock: bool) -> None:
    """
    Ring every minute: plan what is due, and do what needs no second person. Dates that were slept over come in order.

    A clock that stands before what was recorded, or more than a month after the last sign of life, stops it.

    Example: ./backoffice schedule --once --on 2026-05-04
    """
    from datetime import UTC, datetime, time

    from adapters.clock import FixedClock
    from adapters.postgres.heartbeats import Heartbeats
    from adapters.postgres.runs import one_alarm
    from console.answers.every import Rang
    from domain.dates import BRUSSELS
    from schedulers.alarm import AlarmClock

    with back_office(asked) as backoffice:
        day = day_of(asked, backoffice)
        clock = backoffice.clock
        life = Heartbeats(backoffice.database) if asked.on is None else None
        if confirm_clock and life is not None:
            life.beat(clock.now(), f"the clock is right, says {backoffice.settings.actor}")
        if asked.on is not None:
            if not once:
                raise click.UsageError("--on goes with --once", click.get_current_context())
            clock = FixedClock(datetime.combine(day, time(12), tzinfo=BRUSSELS).astimezone(UTC))

        def tell(line: str) -> None:
            say(line)
            try:
                note(line, action="alarm")
            except OSError as error:  # no reason to let a legal date pass
                say(f"The journal cannot be written ({error.strerror}); make room or rights in log/ under the home.")

        alarm = AlarmClock(
            runs=backoffice.runs,
            clock=clock,
            since=beginning(backoffice),
            only_one=lambda: one_alarm(backoffice.database),
            tell=tell,
            life=life,
        )
        if not once:
            say("The alarm clock runs; Ctrl-C stops it after what is under way.")
            alarm.run()
            return
        did = alarm.ring()
        backoffice.catch_up()
    rang = Rang(
        on=day,
        did=[
            Rang.Did(job=each.job, year=each.year, business_date=each.business_date, steps=each.steps,
                     stopped=each.stopped)
            for each in did
        ],
    )  # fmt: skip

    def show() -> None:
        if not rang.did:
            out("Nothing is due.")
            return
        rows = [(each.job, str(each.year), ", ".join(each.steps) or "nothing", each.stopped) for each in rang.did]
        table(("job", "year", "done", "stopped because"), rows)

    give(rang, show, as_json=asked.as_json)
