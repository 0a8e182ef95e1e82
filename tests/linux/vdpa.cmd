# SPDX-License-Identifier: BSD-2-Clause

# What there is to say without a device: usages, wrong words, abbreviations
vdpa
vdpa help
vdpa -h
vdpa --help
vdpa -V
vdpa -Version
vdpa --Version
vdpa -v
vdpa -x
vdpa --nothing
vdpa -j
vdpa -p
vdpa -json
vdpa --json
vdpa --pretty
vdpa nothing
vdpa -j nothing
vdpa m
vdpa mg
vdpa mgmtdevs
vdpa d
vdpa de
vdpa mgmtdev
vdpa mgmtdev help
vdpa mgmtdev -h
vdpa mgmtdev nothing
vdpa mgmtdev s nothing
vdpa mgmtdev list nothing
vdpa mgmtdev show nothing
vdpa mgmtdev show pci/nothing
vdpa mgmtdev show /nothing
vdpa mgmtdev show nothing/
vdpa mgmtdev show a/b/c
vdpa mgmtdev show ""
vdpa dev
vdpa dev help
vdpa dev nothing
vdpa dev s
vdpa dev sh
vdpa dev l
vdpa dev list
vdpa dev a
vdpa dev add
vdpa dev add help
vdpa dev add nothing
vdpa dev add name
vdpa dev add name n0
vdpa dev add name n0 mgmtdev
vdpa dev add mgmtdev vdpasim_net
vdpa dev add name n0 mgmtdev nothing
vdpa dev add name n0 mgmtdev pci/nothing
vdpa dev add name n0 mgmtdev a/b/c
vdpa dev add name n0 mgmtdev vdpasim_net nothing
- vdpa dev del n0
vdpa dev add name n0 mgmtdev vdpasim_net nothing 1
vdpa dev add name n0 mgmtdev vdpasim_net mac
- vdpa dev del n0
vdpa dev add name n0 mgmtdev vdpasim_net mtu
- vdpa dev del n0
vdpa dev add name n0 mgmtdev vdpasim_net max_vqp
- vdpa dev del n0
vdpa dev add name n0 mgmtdev vdpasim_net device_features
- vdpa dev del n0
vdpa dev add nothing n0 mgmtdev vdpasim_net
- vdpa dev del n0
vdpa dev add n0
vdpa dev d
vdpa dev d n0
vdpa dev del
vdpa dev del help
vdpa dev del n0
vdpa dev delete n0
vdpa dev show n0
vdpa dev show n0 n1
vdpa -j dev show n0
vdpa dev set
vdpa dev set help
vdpa dev set name
vdpa dev set name n0
vdpa dev set name n0 mac
vdpa dev set name n0 mac 00:11:22:33:44:55
vdpa dev set name n0 nothing 1
vdpa dev set n0 mac 00:11:22:33:44:55
vdpa dev config
vdpa dev config help
vdpa dev config nothing
vdpa dev config show
vdpa dev config show n0
vdpa dev config list
vdpa dev c
vdpa dev co s
vdpa dev vstats
vdpa dev vstats help
vdpa dev vstats nothing
vdpa dev vstats show
vdpa dev vstats show n0
vdpa dev vstats show n0 qidx
vdpa dev vstats show n0 qidx 0
vdpa dev vstats show n0 qidx nothing
vdpa dev vstats show n0 nothing 0
vdpa dev v s n0 qidx 0

# The parents
vdpa mgmtdev show
vdpa mgmtdev list
vdpa mgmtdev show vdpasim_net
vdpa mgmtdev show vdpasim_blk
vdpa mgmtdev show vdpasim_net vdpasim_blk
vdpa -j mgmtdev show
vdpa -jp mgmtdev show
vdpa -j -p mgmtdev show vdpasim_net
vdpa -p mgmtdev show vdpasim_net
vdpa -j m s vdpasim_blk

# No devices yet
vdpa dev show
vdpa -j dev show
vdpa -jp dev show
vdpa -j dev config show
vdpa -jp dev config show

# A network device with nothing said
vdpa dev add name n0 mgmtdev vdpasim_net
vdpa dev add name n0 mgmtdev vdpasim_net
vdpa -j dev add name n0 mgmtdev vdpasim_net
vdpa dev show
vdpa dev show n0
vdpa dev list n0
vdpa dev n0
vdpa d s n0
vdpa -j dev show n0
vdpa -jp dev show n0
vdpa -p dev show n0
vdpa -pj dev show
vdpa dev show n0 n1
vdpa dev show N0
vdpa dev show n
vdpa dev config show n0
vdpa -j dev config show n0
vdpa -jp dev config show n0
vdpa dev vstats show n0
vdpa dev vstats show n0 qidx 0
vdpa -j dev vstats show n0 qidx 0
vdpa dev del n0 n1
- vdpa dev del n0
vdpa dev del n0

# What can be said of a network device
vdpa dev add name n1 mgmtdev vdpasim_net mac 00:11:22:33:44:55
vdpa -j dev config show n1
vdpa dev add name n2 mgmtdev vdpasim_net mtu 1400
vdpa -j dev config show n2
vdpa dev add name n3 mgmtdev vdpasim_net mac 00:11:22:33:44:66 mtu 9000
vdpa dev config show n3
vdpa -j dev config show n3
vdpa dev add mgmtdev vdpasim_net name n4
vdpa dev add name n5 mgmtdev vdpasim_net max_vqp 1
- vdpa dev del n5
vdpa dev add name n6 mgmtdev vdpasim_net max_vqp 2
- vdpa dev del n6
vdpa dev add name n7 mgmtdev vdpasim_net device_features 0x300020020
vdpa -j dev config show n7
vdpa dev add name n8 mgmtdev vdpasim_net device_features 0x300000000
vdpa -j dev config show n8
vdpa dev add name n9 mgmtdev vdpasim_net mac 00:11:22:33:44:77 device_features 0x300000020
vdpa -j dev config show n9
vdpa -j dev show
vdpa dev show
vdpa dev del n1
vdpa dev del n2
vdpa dev del n3
vdpa dev del n4
vdpa dev del n7
vdpa dev del n8
vdpa dev del n9

# What cannot
vdpa dev add name x mgmtdev vdpasim_net mac 00:11:22:33:44
- vdpa dev del x
vdpa dev add name x mgmtdev vdpasim_net mac 00:11:22:33:44:55:66
- vdpa dev del x
vdpa dev add name x mgmtdev vdpasim_net mac nothing
vdpa dev add name x mgmtdev vdpasim_net mac ""
vdpa dev add name x mgmtdev vdpasim_net mac 00:00:00:00:00:00
- vdpa dev del x
vdpa dev add name x mgmtdev vdpasim_net mac 01:11:22:33:44:55
- vdpa dev del x
vdpa dev add name x mgmtdev vdpasim_net mtu 67
vdpa dev add name x mgmtdev vdpasim_net mtu 68
vdpa dev del x
vdpa dev add name x mgmtdev vdpasim_net mtu 65535
vdpa dev del x
vdpa dev add name x mgmtdev vdpasim_net mtu 65536
vdpa dev add name x mgmtdev vdpasim_net mtu -1
vdpa dev add name x mgmtdev vdpasim_net mtu nothing
vdpa dev add name x mgmtdev vdpasim_net mtu 1500x
vdpa dev add name x mgmtdev vdpasim_net max_vqp 0
vdpa dev add name x mgmtdev vdpasim_net max_vqp nothing
vdpa dev add name x mgmtdev vdpasim_net max_vqp 65536
vdpa dev add name x mgmtdev vdpasim_net device_features nothing
vdpa dev add name x mgmtdev vdpasim_net device_features 0x8000000000000000
vdpa dev add name x mgmtdev vdpasim_net mtu 1400 device_features 0x300000000
vdpa dev add name x mgmtdev vdpasim_net mac 00:11:22:33:44:55 device_features 0x300000000
vdpa dev add name x mgmtdev vdpasim_net mac 00:11:22:33:44:55 mac 00:11:22:33:44:66
- vdpa dev del x
vdpa dev add name x mgmtdev vdpasim_net name y
- vdpa dev del x
- vdpa dev del y
vdpa dev add name x mgmtdev vdpasim_blk mac 00:11:22:33:44:55
vdpa dev add name x mgmtdev vdpasim_blk mtu 1500
vdpa dev add name x mgmtdev vdpasim_blk max_vqp 1
vdpa dev add name x mgmtdev vdpasim_blk device_features 0x300000000
- vdpa dev del x
vdpa dev add name "" mgmtdev vdpasim_net
vdpa dev add name "a b" mgmtdev vdpasim_net
- vdpa dev del "a b"
vdpa dev add name a/b mgmtdev vdpasim_net
- vdpa dev del a!b
vdpa dev add name .. mgmtdev vdpasim_net
- vdpa dev del ..
vdpa dev add name -n mgmtdev vdpasim_net
vdpa dev del -n
vdpa dev add name n23456789012345678901234567890123456789012345678901234567890123 mgmtdev vdpasim_net
vdpa dev add name n234567890123456789012345678901234567890123456789012345678901234 mgmtdev vdpasim_net
- vdpa dev del n234567890123456789012345678901234567890123456789012345678901234
vdpa dev show n23456789012345678901234567890123456789012345678901234567890123
vdpa dev del n23456789012345678901234567890123456789012345678901234567890123
vdpa dev show

# Its address is set
vdpa dev add name n0 mgmtdev vdpasim_net mac 00:11:22:33:44:55
vdpa dev set name n0 mac 00:11:22:33:44:66
vdpa -j dev config show n0
vdpa dev set name n0 mac nothing
vdpa dev set name n0 mac 00:00:00:00:00:00
vdpa dev set name n0 mac 01:11:22:33:44:55
vdpa dev set name n0 mtu 1400
vdpa dev set name n0 max_vqp 1
vdpa dev set name n0 device_features 1
vdpa dev set name nothing mac 00:11:22:33:44:55
vdpa -j dev config show n0

# A driver has it
bind n0 virtio_vdpa
vdpa dev show n0
vdpa -j dev show n0
vdpa dev config show n0
vdpa -j dev config show n0
vdpa -jp dev config show n0
vdpa dev vstats show n0
vdpa dev vstats show n0 qidx 0
vdpa dev vstats show n0 qidx 1
vdpa dev vstats show n0 qidx 2
vdpa dev vstats show n0 qidx 3
vdpa dev vstats show n0 qidx 65535
vdpa dev vstats show n0 qidx 65536
vdpa dev vstats show n0 qidx -1
vdpa -j dev vstats show n0 qidx 0
vdpa -jp dev vstats show n0 qidx 1
vdpa -j dev vstats show n0 qidx 3
vdpa -j dev vstats show nothing qidx 0
vdpa -j dev vstats show n0
vdpa dev set name n0 mac 00:11:22:33:44:77
unbind n0
vdpa dev config show n0
vdpa dev vstats show n0 qidx 0
vdpa dev del n0

# A disk
vdpa dev add name b0 mgmtdev vdpasim_blk
vdpa dev show b0
vdpa -j dev show b0
vdpa -jp dev show
vdpa dev config show b0
vdpa -j dev config show b0
vdpa -jp dev config show
vdpa dev vstats show b0 qidx 0
vdpa dev set name b0 mac 00:11:22:33:44:55
bind b0 virtio_vdpa
vdpa dev show b0
vdpa dev config show b0
vdpa -j dev config show b0
vdpa -jp dev config show b0
vdpa dev vstats show b0 qidx 0
vdpa -j dev vstats show b0 qidx 0
vdpa dev del b0
vdpa dev show b0
vdpa -j dev show
