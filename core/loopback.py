"""HTTP requests to a server of this machine."""

from urllib.request import ProxyHandler, build_opener

# A proxy that the environment names is for other hosts, and cannot reach this machine's ports.
open_directly = build_opener(ProxyHandler({})).open
