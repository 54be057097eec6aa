"""Callbacks of the service, received on your side: an ASGI app, a small server, and what they took in.

Each delivery is on the disk before it is acknowledged, and stays there until an export has read its task.
"""

from refonte_frames.callbacks.receiver import app, received, serve

__all__ = ["app", "received", "serve"]
