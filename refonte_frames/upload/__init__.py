"""From a frame to tasks: mapping, payloads, identity, plan, journal, submit, in the order in which a row walks."""
