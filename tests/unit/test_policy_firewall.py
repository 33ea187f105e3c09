"""What a rendered nftables file does with a packet, told from its text."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from recovery import firewall
from recovery.firewall import Fate, Packet

BASTION, UNIT = ip_address("10.8.1.1"), ip_address("10.8.10.1")
SSH = Packet(state="new", source=BASTION, target=UNIT, port=22)
SSH6 = Packet(state="new", source=ip_address("2001:db8::1"), target=ip_address("2001:db8::2"), port=22)
ANYONE = Packet(state="new", target=UNIT, port=22)
STANDING = Packet(state="established")


def fate(rules: str, packet: Packet = SSH, policy: str = "drop") -> Fate:
    """Return what an input chain of some rules does with a packet."""
    head = f"type filter hook input priority 0; policy {policy};"
    text = f"table inet pulih {{\n chain input {{\n {head}\n {rules}\n }}\n}}\n"
    (only,) = firewall.read(text).fates("input", packet)
    return only


OPENING = [
    "tcp dport 22 accept",
    "tcp dport ssh accept",
    "tcp dport { 22, 443 } accept",
    "tcp dport {22,443} counter accept",
    "tcp dport 20-30 accept",
    "tcp dport != 80 accept",
    "ip saddr 10.8.1.1 tcp dport 22 accept",
    "tcp dport 22 ip saddr 10.8.1.1 accept",
    "ip saddr 10.8.0.0/16 tcp dport 22 accept",
    "ip saddr { 10.9.0.1, 10.8.1.0-10.8.1.9 } tcp dport 22 accept",
    "ip saddr != 10.9.0.1 tcp dport 22 accept",
    "ip daddr 10.8.10.1 tcp dport 22 accept",
    'ip saddr 10.8.1.1 tcp dport 22 ct state new counter packets 0 bytes 0 accept comment "ssh; from # the } bastion"',
    'log prefix "ssh: " level info tcp dport 22 accept',
    "meta l4proto tcp th dport 22 accept",
    "meta l4proto { tcp, udp } th dport 22 accept",
    "ip protocol tcp accept",
    "tcp dport 22 \\\n    accept",
    "ct state vmap { new : accept, invalid : drop }",
    "ct state vmap { invalid: drop, new: accept }",
    "accept",
    "ct state invalid drop\n ct state { established, related } accept\n tcp dport 22 accept",
    'iif "lo" accept\n iifname != lo tcp dport 22 accept',
    "icmpv6 type { nd-router-advert, echo-request } drop\n tcp dport 22 accept",
    "udp dport 53 drop; tcp dport 22 accept",
    "tcp dport 80 drop\n tcp dport 22 accept",
    "ip saddr 10.9.0.0/16 drop\n tcp dport 22 accept",
    "tcp dport 22 accept\n drop",
    "ip6 saddr ::1 drop\n tcp dport 22 accept",
]
SHUT = [
    "",
    "# tcp dport 22 accept",
    'comment "tcp dport 22 accept"',
    "tcp dport 2222 accept",
    "tcp sport 22 accept",
    "udp dport 22 accept",
    "ip saddr 10.9.0.1 tcp dport 22 accept",
    "ip6 saddr 2001:db8::1 tcp dport 22 accept",
    "ip daddr 10.8.10.2 tcp dport 22 accept",
    "ct state established,related accept",
    'iif "lo" tcp dport 22 accept',
    "ip saddr @trusted tcp dport 22 accept",
    "limit rate 3/minute tcp dport 22 accept",
    "tcp dport 22 counter",
    "tcp dport 22 return\n accept",
    "ct state vmap { established : accept, related : accept }",
]
DROPPING = [
    "drop\n tcp dport 22 accept",
    "reject with tcp reset\n tcp dport 22 accept",
    "tcp dport 22 drop\n tcp dport 22 accept",
    "ip saddr @banned drop\n tcp dport 22 accept",
    "ip saddr != 10.9.0.0/16 drop\n tcp dport 22 accept",
    "ct state new limit rate over 10/second drop\n tcp dport 22 accept",
    "jump nowhere\n tcp dport 22 accept",
    "ct state vmap { new : drop }\n tcp dport 22 accept",
]


@pytest.mark.parametrize("rules", OPENING)
def test_a_rule_opens_the_way(rules: str) -> None:
    assert fate(rules) is Fate.ACCEPTED


@pytest.mark.parametrize("rules", SHUT)
def test_nothing_opens_the_way_but_the_policy(rules: str) -> None:
    assert fate(rules) is Fate.DROPPED_BY_POLICY
    assert fate(rules, policy="accept") is Fate.ACCEPTED_BY_POLICY


@pytest.mark.parametrize("rules", DROPPING)
def test_a_rule_shuts_the_way_or_may_shut_it(rules: str) -> None:
    assert fate(rules) is Fate.DROPPED


def test_a_rule_for_one_source_does_not_let_in_anyone() -> None:
    assert fate("ip saddr 10.8.1.1 tcp dport 22 accept", ANYONE) is Fate.DROPPED_BY_POLICY
    assert fate("tcp dport 22 accept", ANYONE) is Fate.ACCEPTED


def test_ipv6_addresses_are_matched_in_any_form() -> None:
    assert fate("ip6 saddr 2001:db8:0:0::1 tcp dport 22 accept", SSH6) is Fate.ACCEPTED
    assert fate("ip6 saddr { fe80::/10, 2001:db8::/32 } ip6 nexthdr tcp tcp dport 22 accept", SSH6) is Fate.ACCEPTED
    for rule in ("ip saddr 10.8.1.1", "ip saddr 0.0.0.0/0", "ip saddr 0.0.0.0-255.255.255.255"):
        assert fate(f"{rule} tcp dport 22 accept", SSH6) is Fate.DROPPED_BY_POLICY


def test_an_established_packet_of_any_kind_needs_a_rule_for_its_state() -> None:
    assert fate("ct state established,related accept", STANDING) is Fate.ACCEPTED
    assert fate("ct state vmap { established : accept, invalid : drop }", STANDING) is Fate.ACCEPTED
    assert fate("tcp dport 22 accept", STANDING) is Fate.DROPPED_BY_POLICY
    assert fate("ct state related accept", STANDING) is Fate.DROPPED_BY_POLICY
    assert fate("ip saddr 10.8.1.1 ct state established accept", STANDING) is Fate.DROPPED_BY_POLICY
    assert fate("tcp dport 22 drop\n ct state established accept", STANDING) is Fate.DROPPED


def test_jumps_and_variables_are_followed() -> None:
    text = """
define ssh_port = 22
define gate = { 10.8.1.1, 10.8.1.2 }
table inet pulih {
    chain from_gate { tcp dport $ssh_port accept }
    chain input {
        type filter hook input priority filter; policy drop;
        ip saddr $gate jump from_gate
    }
}
"""
    rules = firewall.read(text)
    assert rules.fates("input", SSH) == [Fate.ACCEPTED]
    assert rules.fates("input", ANYONE) == [Fate.DROPPED_BY_POLICY]


def test_chains_that_jump_to_each_other_end() -> None:
    text = """
table inet t {
    chain a { jump b; }
    chain b { jump a; }
    chain input { type filter hook input priority 0; jump a; }
}
"""
    assert firewall.read(text).fates("input", SSH) == [Fate.DROPPED]


def test_each_chain_at_a_hook_has_its_say() -> None:
    text = """
table inet one { chain input { type filter hook input priority 0; policy drop; tcp dport 22 accept; }; }
table ip two { chain filter_in { type filter hook input priority 10; policy accept; tcp dport 22 drop; } }
table ip three { chain output { type filter hook output priority 0; policy drop; } }
"""
    rules = firewall.read(text)
    assert rules.fates("input", SSH) == [Fate.ACCEPTED, Fate.DROPPED]
    assert rules.fates("output", SSH) == [Fate.DROPPED_BY_POLICY]
    assert rules.fates("forward", SSH) == []
