"""No spelling of an address leads a webhook to where a cloud hands out its credentials."""

import pytest

from mlkit.flows.alerts.pinned import UnreachableError, refuse


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254", "169.254.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192",
        "224.0.0.1", "0.0.0.0", "255.255.255.255", "240.0.0.1",  # noqa: S104  # refused
        "fe80::1", "fe80::1%eth0", "ff02::1", "::", "fd00:ec2::254", "fd20:ce::254",
        "::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "0:0:0:0:0:ffff:a9fe:a9fe",  # mapped
        "::169.254.169.254", "::a9fe:a9fe",  # compatible
        "::ffff:0:169.254.169.254",  # translated
        "64:ff9b::169.254.169.254", "64:ff9b::a9fe:a9fe", "0064:ff9b:0::a9fe:a9fe",  # NAT64
        "64:ff9b::6464:64c8",  # 100.100.100.200
        "64:ff9b:1::a9fe:a9fe", "64:ff9b:1:abcd::a9fe:a9fe",  # NAT64 of a network's own, /96
        "64:ff9b:1:a9fe:a9:fe00::", "64:ff9b:1:a9:fe:a9fe::", "64:ff9b:1:0:a9:fea9:fe00:0",
        "2002:a9fe:a9fe::", "2002:a9fe:a9fe::1", "2002:a9fe:a9fe:1:2:3:4:5",  # 6to4
        "2001:0:a9fe:a9fe::", "2001:0:808:808:0:0:5601:5601",  # Teredo: server, client
        "2001:db8::5efe:169.254.169.254", "2001:db8::200:5efe:a9fe:a9fe",  # ISATAP
    ],
)  # fmt: skip
def test_an_address_where_no_receiver_can_be_is_refused(address: str) -> None:
    with pytest.raises(UnreachableError, match="no address to send anything to"):
        refuse(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.7", "192.168.1.1", "172.16.0.1", "8.8.8.8", "100.64.0.1",
        "::1", "fd12::1", "2606:4700::1111",
        "::ffff:10.0.0.7", "64:ff9b::808:808", "64:ff9b:1::808:808", "2002:808:808::1",
        "2001:0:808:808:0:0:f7f7:f7f7",
    ],
)  # fmt: skip
def test_any_other_is_allowed(address: str) -> None:
    refuse(address)
