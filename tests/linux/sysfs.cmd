# SPDX-License-Identifier: BSD-2-Clause

# What is there without a device
ls $bus
ls $bus/devices
ls $bus/drivers
ls $bus/drivers/vhost_vdpa
ls $bus/drivers/virtio_vdpa
cat $bus/drivers_autoprobe
stat -c '%A %F' $bus $bus/devices $bus/drivers $bus/drivers/vhost_vdpa
stat -c '%A %F' $bus/drivers_autoprobe $bus/drivers_probe $bus/uevent
stat -c '%A %F' $bus/drivers/vhost_vdpa/bind $bus/drivers/vhost_vdpa/unbind $bus/drivers/vhost_vdpa/uevent
cat $bus/drivers_probe
cat $bus/drivers/vhost_vdpa/bind
cat $bus/drivers/vhost_vdpa/unbind
put n0 $bus/drivers_probe
put n0 $bus/drivers/vhost_vdpa/bind
put n0 $bus/drivers/vhost_vdpa/unbind
put nothing $bus/drivers_autoprobe
put 2 $bus/drivers_autoprobe
put 0 $bus/drivers_autoprobe
cat $bus/drivers_autoprobe
mkdir $bus/devices/n0
mkdir $bus/nothing
rmdir $bus/devices
touch $bus/nothing
rm $bus/drivers_probe
mv $bus/drivers_probe $bus/nothing
ln -s nothing $bus/nothing
: >$bus/nothing

# A device that no driver has
vdpa dev add name n0 mgmtdev vdpasim_net mac 00:11:22:33:44:55
ls $bus/devices
ls $bus/devices/n0/
link $bus/devices/n0/subsystem
stat -c '%A %F' $bus/devices/n0
stat -c '%A %F' $bus/devices/n0/
stat -c '%A %F' $bus/devices/n0/driver_override $bus/devices/n0/uevent $bus/devices/n0/subsystem
cat $bus/devices/n0/driver_override
cat $bus/devices/n0/uevent
test -e $bus/devices/n0/driver
link $bus/devices/n0/driver
readlink -f $bus/devices/n0/subsystem | grep -o 'bus/vdpa$'
readlink -f $bus/devices/n0 | grep -o 'devices/.*n0$'
find $bus/devices/n0/ -maxdepth 1 -type l | sed 's|.*/||'

# Bound and unbound by hand
put n0 $bus/drivers/virtio_vdpa/unbind
put nothing $bus/drivers/vhost_vdpa/bind
put "" $bus/drivers/vhost_vdpa/bind
put "n0 n0" $bus/drivers/vhost_vdpa/bind
printf n0 >$bus/drivers/vhost_vdpa/bind
link $bus/devices/n0/driver
ls $bus/drivers/vhost_vdpa
link $bus/drivers/vhost_vdpa/n0
cat $bus/devices/n0/uevent
put n0 $bus/drivers/vhost_vdpa/bind
put n0 $bus/drivers/virtio_vdpa/bind
put n0 $bus/drivers/virtio_vdpa/unbind
put nothing $bus/drivers/vhost_vdpa/unbind
put n0 $bus/drivers_probe
put n0 $bus/drivers/vhost_vdpa/unbind
put n0 $bus/drivers/vhost_vdpa/unbind
test -e $bus/devices/n0/driver
ls $bus/drivers/vhost_vdpa

# The override
put vhost_vdpa $bus/devices/n0/driver_override
cat $bus/devices/n0/driver_override
put n0 $bus/drivers/virtio_vdpa/bind
put n0 $bus/drivers/vhost_vdpa/bind
put virtio_vdpa $bus/devices/n0/driver_override
link $bus/devices/n0/driver
put n0 $bus/drivers_probe
link $bus/devices/n0/driver
put n0 $bus/drivers/vhost_vdpa/unbind
put n0 $bus/drivers_probe
link $bus/devices/n0/driver
put n0 $bus/drivers/virtio_vdpa/unbind
put nothing $bus/devices/n0/driver_override
put n0 $bus/drivers/vhost_vdpa/bind
put n0 $bus/drivers_probe
test -e $bus/devices/n0/driver
put "" $bus/devices/n0/driver_override
cat $bus/devices/n0/driver_override
put vhost_vdpa $bus/devices/n0/driver_override
printf "" >$bus/devices/n0/driver_override
cat $bus/devices/n0/driver_override
printf "\n" >$bus/devices/n0/driver_override
cat $bus/devices/n0/driver_override
head -c 4095 /dev/zero | tr '\0' x | dd iflag=fullblock bs=8192 of=$bus/devices/n0/driver_override 2>/dev/null
wc -c <$bus/devices/n0/driver_override
head -c 4096 /dev/zero | tr '\0' x | dd iflag=fullblock bs=8192 of=$bus/devices/n0/driver_override 2>/dev/null
put "" $bus/devices/n0/driver_override
cat $bus/devices/n0/driver_override

# Given without a word, by the bus
put 1 $bus/drivers_autoprobe
cat $bus/drivers_autoprobe
put vhost_vdpa $bus/devices/n0/driver_override
put n0 $bus/drivers_probe
link $bus/devices/n0/driver

# Going while a driver has it
vdpa dev del n0
ls $bus/devices
ls $bus/drivers/vhost_vdpa
cat $bus/devices/n0/driver_override
put n0 $bus/drivers/vhost_vdpa/unbind
