/**
 * The first process of a guest: a busybox shell script that prepares the file systems and then obeys
 * the host, one step at a time, over a virtio serial port.
 *
 * Why that port: it is a raw byte channel, so nothing has to be encoded and kernel messages (which go
 * to the ISA serial console) cannot end up inside a result. It is flow controlled, so large results
 * simply take as long as they take (8 MB in 0.13 s).
 *
 *   host  -> guest   RUN <number> <root|user> <script in base64>\n      or  END\n
 *   guest -> host    HELLO <kernel release>\n                            once
 *                    DONE <number> <exit code> <bytes out> <bytes err>\n<out><err>
 */
/** Name of the virtio serial port, looked up in /sys/class/virtio-ports. */
export const portName = 'isogroup.lab'

/** The ordinary user of a guest. */
const guestUserId = 1000

/** Where the program's folders are put in the guest. */
export const guestProgramRoot = '/app'

export const guestPasswd: string =
  'root:x:0:0:root:/root:/bin/sh\n' +
  `user:x:${guestUserId}:${guestUserId}:user:/home/user:/bin/sh\n`

export const guestGroup: string = `root:x:0:\nuser:x:${guestUserId}:\n`

/** Names of the busybox programs the init script uses before it can install the rest. */
export const busyboxLinks: readonly string[] = ['sh', 'mount', 'mkdir', 'cat']

export const guestInit: string = `#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 HOME=/root
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mkdir -p /dev/pts /dev/shm /run/lab /home/user /root
mount -t devpts pts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t tmpfs -o mode=1777 tmp /tmp
/bin/busybox --install -s /bin
ln -s /proc/self/fd /dev/fd
chown ${guestUserId}:${guestUserId} /home/user
hostname guest

# Built into 6.12, modules in 6.1.
modprobe virtio_pci 2>/dev/null
modprobe virtio_console 2>/dev/null

fail() {
  echo "lab: $*" >/dev/console
  poweroff -f
}

# The port is announced by a message some time after its driver is there.
port=
for try in $(seq 100); do
  for entry in /sys/class/virtio-ports/*; do
    [ "$(cat "$entry/name" 2>/dev/null)" = ${portName} ] && port="/dev/\${entry##*/}"
  done
  [ -z "$port" ] || break
  usleep 100000
done
[ -n "$port" ] || fail 'the virtio serial port is missing'
exec 3<>"$port" || fail "cannot open $port"
echo "HELLO $(uname -r)" >&3

while read -r verb number who script <&3; do
  [ "$verb" = RUN ] || break
  printf %s "$script" | base64 -d >/run/lab/step
  chmod 755 /run/lab/step
  case $who in
    user) su -s /bin/sh user -c '. /run/lab/step' ;;
    *) sh /run/lab/step ;;
  esac </dev/null >/run/lab/out 2>/run/lab/err 3<&-
  code=$?
  echo "DONE $number $code $(stat -c %s /run/lab/out) $(stat -c %s /run/lab/err)" >&3
  cat /run/lab/out /run/lab/err >&3
done
poweroff -f
`
