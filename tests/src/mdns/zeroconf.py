"""python-zeroconf, told by lines what to do, and telling by lines what happens.

browse;TYPE                              then lines: +;NAME  =;NAME;HOST;PORT;ADDRESSES;TXT  -;NAME
register;NAME;TYPE;PORT;HOST;TXT         then: registered;NAME, with the name as it is in the end
update;TXT                               changes the service registered last; then: updated
unregister                               withdraws it; then: unregistered
service;NAME;TYPE                        then: service;HOST;PORT;ADDRESSES;TXT, or: service;none
host;NAME                                then: host;ADDRESSES, or: host;none
types                                    then: types;TYPE,TYPE...

Types and names are without ".local.", instances without their type. ADDRESSES and TXT (KEY=VALUE) are separated by
commas. End of input: the end, with goodbyes.
"""

import socket
import sys
import threading

import ifaddr
from zeroconf import (
    AddressResolver, IPVersion, NonUniqueNameException, ServiceBrowser, ServiceInfo, ServiceStateChange, Zeroconf,
    ZeroconfServiceTypes,
)

PATIENCE = 60_000  # milliseconds

interface, versions = sys.argv[1], IPVersion[sys.argv[2]]
addresses = [
    address.ip for adapter in ifaddr.get_adapters() if adapter.name == interface
    for address in adapter.ips if address.is_IPv4
]
use = []
if versions != IPVersion.V6Only:
    use += addresses
if versions != IPVersion.V4Only:
    use.append(socket.if_nametoindex(interface))
zeroconf = Zeroconf(interfaces=use, ip_version=versions)
lock = threading.Lock()


def say(*words):
    with lock:
        print(';'.join(map(str, words)))


def shown(info):
    text = sorted(
        key.decode() + ('' if value is None else '=' + value.decode()) for key, value in info.properties.items()
    )
    return (info.server.removesuffix('.'), info.port, ','.join(info.parsed_addresses()), ','.join(text))


def full(kind):
    return kind + '.local.'


def found(zeroconf, service_type, name, state_change):
    label = name.removesuffix('.' + service_type)
    if state_change is ServiceStateChange.Removed:
        say('-', label)
        return
    if state_change is ServiceStateChange.Added:
        say('+', label)
    # Not here: this thread is the one that hears the answers.
    threading.Thread(target=look, args=(service_type, name, label), daemon=True).start()


def look(service_type, name, label):
    info = zeroconf.get_service_info(service_type, name, PATIENCE)
    if info:
        say('=', label, *shown(info))


def own(name, kind, port, host, text):
    properties = dict(pair.split('=', 1) if '=' in pair else (pair, None) for pair in text.split(',') if pair)
    given = addresses if versions != IPVersion.V6Only else []
    if versions != IPVersion.V4Only:
        given = given + [
            address.ip[0] for adapter in ifaddr.get_adapters() if adapter.name == interface
            for address in adapter.ips if address.is_IPv6
        ]
    return ServiceInfo(
        full(kind), name + '.' + full(kind), port=int(port), properties=properties, server=host + '.local.',
        parsed_addresses=given,
    )


def main():
    info, browsers = None, []
    say('ready')
    for line in sys.stdin:
        what, *words = line.rstrip('\n').split(';')
        if what == 'browse':
            browsers.append(ServiceBrowser(zeroconf, full(words[0]), handlers=[found]))
        elif what == 'register':
            info = own(*words)
            kept = words
            zeroconf.register_service(info, allow_name_change=True)
            say('registered', info.name.removesuffix('.' + info.type))
        elif what == 'update':
            name = info.name.removesuffix('.' + info.type)
            info = own(name, *kept[1:4], words[0])
            zeroconf.update_service(info)
            say('updated')
        elif what == 'unregister':
            zeroconf.unregister_service(info)
            say('unregistered')
        elif what == 'service':
            name, kind = words
            service = zeroconf.get_service_info(full(kind), name + '.' + full(kind), PATIENCE)
            say('service', *(shown(service) if service else ['none']))
        elif what == 'host':
            resolver = AddressResolver(full(words[0]))
            known = resolver.request(zeroconf, PATIENCE)
            say('host', ','.join(resolver.parsed_addresses()) if known else 'none')
        elif what == 'types':
            say('types', ','.join(t.removesuffix('.local.') for t in ZeroconfServiceTypes.find(zeroconf, timeout=3)))
        else:
            sys.exit('unknown: ' + line)
    zeroconf.close()


try:
    main()
except NonUniqueNameException as error:
    sys.exit('conflict: ' + str(error))
