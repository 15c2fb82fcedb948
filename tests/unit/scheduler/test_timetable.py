"""The timetable of an installation."""

from scheduler.timetable import TIMETABLE, timetable
from workers.contract import PurgeAnnouncements, ReviewMasterKeys


def test_announcements_are_kept_as_long_as_the_settings_say() -> None:
    of_ours = timetable(announcement_days=90, sealing_key_days=90)
    [purge] = [each.request for each in of_ours if isinstance(each.request, PurgeAnnouncements)]
    assert purge.older_than_days == 90


def test_sealing_keys_are_published_as_long_as_the_settings_say() -> None:
    of_ours = timetable(announcement_days=30, sealing_key_days=7)
    [review] = [each.request for each in of_ours if isinstance(each.request, ReviewMasterKeys)]
    assert review.sealing_key_days == 7


def test_nothing_else_is_changed_by_that() -> None:
    of_ours = timetable(announcement_days=90, sealing_key_days=7)
    assert [(each.name, each.cron) for each in of_ours] == [
        (each.name, each.cron) for each in TIMETABLE
    ]
    assert timetable(announcement_days=30, sealing_key_days=90) == TIMETABLE
