"""`onlooker bench`: how long every stage takes on this machine, from the packet to the client."""
