"""Turns time into jobs: the clock, the timetable, the relay and the reaper."""
