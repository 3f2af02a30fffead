"""The catalog: the published picture of everything, its change feed and its status file.

Others use `publish` (Publisher), `metadata` (Facts), `document` (Encoder, Timing), `interval` (Interval), `changes`
(Feed) and `status` (write_status).
"""
