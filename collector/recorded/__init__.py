"""Runs that others recorded, read: NexusSOM's folders, JSON, tables, exports of trackers."""
