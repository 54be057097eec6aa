"""Callbacks of the service, received on your side: an ASGI app, a small server, and what they took in.

`receiver` answers the service, `inbox` keeps what came until an export takes it, `messages` reads it.
"""

from refonte_frames.callbacks.receiver import app, received, serve

__all__ = ["app", "received", "serve"]
