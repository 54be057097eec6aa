"""The way to the service and back: values, the one socket door, decisions about retries and pace."""
