"""Running a call: blocking a thread or suspending a task, whole or as a stream."""
