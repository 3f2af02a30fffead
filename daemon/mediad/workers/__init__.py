"""The loops of the daemon: one for each volume, one that groups, one that publishes, and chores by the clock."""
