"""Calls between the services: contexts and errors that cross processes, values as protobuf, clients and servers."""
