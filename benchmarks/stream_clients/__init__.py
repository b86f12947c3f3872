"""The clients that are taken through the faults of streams: ours, none, and the peers."""
