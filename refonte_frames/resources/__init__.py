"""One module per kind of object of the service, one short function per documented call; frames in and out."""
