"""Asking a server of this machine over HTTP."""

from urllib.request import ProxyHandler, build_opener

# The proxy that the environment names for requests to elsewhere does not know this machine's ports.
open_directly = build_opener(ProxyHandler({})).open
