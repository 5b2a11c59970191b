"""Where alerts are told outside: kinds of sinks behind one protocol, and the queue that they share."""
