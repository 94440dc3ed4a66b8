#!/bin/bash
# Inside the emulated amd64 board: a relay board (gpio-sim), a USB scanner (a gadget that can be unplugged), a camera
# (v4l2loopback), and the package as a technician installs it. Each line says "ok" or "WRONG" and what was seen.
# The last line is "RIG DONE".
export PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive
cd /rig || exit 1
lines=/sys/devices/platform/gpio-sim.0
saw() { # saw SECONDS WORDS COMMAND...: within so many seconds
    local seconds=$1 words=$2 from=$SECONDS
    shift 2
    while ! "$@" >/tmp/said 2>&1; do
        if ((SECONDS - from > seconds)); then
            echo "WRONG $words"
            tail -n 5 /tmp/said | sed 's/^/      /'
            journalctl -q -u turnstiled -u turnstiled-backend -n 8 -o cat | sed 's/^/      log: /'
            return 1
        fi
        sleep 0.3
    done
    echo "ok    $words ($((SECONDS - from)) s)"
}
line() { cat "$lines"/gpiochip*/sim_gpio"$1"/value; }
is_released() { [ "$(line 0)" = 1 ]; }
is_locked() { [ "$(line 0)" = 0 ]; }
set_line() { echo "pull-$2" >"$(echo "$lines"/gpiochip*/sim_gpio"$1"/pull)"; }
get() { # get PATH [PORT]: a page of the daemon
    exec 3<>"/dev/tcp/127.0.0.1/${2:-9464}" || return 1
    printf 'GET %s HTTP/1.0\r\nHost: gate\r\n\r\n' "$1" >&3
    cat <&3
    exec 3>&-
}
metric() { get /metrics | grep -qF "$1"; }
is_active() { [ "$(systemctl is-active "$1")" = active ]; }
scan() { printf '%s\r\n' "$1" >/dev/ttyGS0; }
walk() {
    set_line 8 up; sleep 0.6; set_line 9 up; sleep 0.6; set_line 8 down; sleep 0.6; set_line 9 down
}
opens_for() { # opens_for CODE: shown until the gate opens, once a second
    local _
    for _ in 1 2 3 4 5 6; do
        scan "$1"
        for _ in 1 2 3 4 5; do is_released && return 0; sleep 0.3; done
    done
    return 1
}
never_opens_for() {
    scan "$1"
    for _ in $(seq 20); do is_released && return 1; sleep 0.2; done
}

echo "RIG BEGIN $(systemd --version | head -1), Linux $(uname -r), up $(cut -d' ' -f1 /proc/uptime) s"
# What Prometheus outside comes in by.
modprobe -a virtio_pci virtio_net
printf '[Match]\nName=e*\n[Network]\nAddress=10.0.2.15/24\n' >/etc/systemd/network/10-rig.network
systemctl start systemd-networkd
modprobe -a configfs libcomposite dummy_hcd usb_f_acm videodev
insmod gpio-simulated.ko && insmod v4l2loopback.ko exclusive_caps=1 video_nr=0 card_label=gate max_buffers=4
mountpoint -q /sys/kernel/config || mount -t configfs c /sys/kernel/config
board=/sys/kernel/config/gpio-sim/g
mkdir "$board" "$board/b" && echo 16 >"$board/b/num_lines" && echo 1 >"$board/live"
gadget=/sys/kernel/config/usb_gadget/g
mkdir "$gadget" && cd "$gadget" || exit 1
echo 0x1d6b >idVendor; echo 0x0104 >idProduct
mkdir strings/0x409 configs/c.1 functions/acm.0
echo SCANNER1 >strings/0x409/serialnumber
ln -s functions/acm.0 configs/c.1/
cd /rig || exit 1
stty -F /dev/ttyGS0 raw -echo

# A step of hardware/commissioning.md, as it is printed there.
page=/rig/commissioning.md
step() {
    awk -v n="$1." 'BEGIN{on = n == "0."} /^[0-9]+\. /{on = $1 == n} on && /^       /{sub(/^ +/, ""); print}' $page >"/tmp/step-$1"
    [ -s "/tmp/step-$1" ] && bash -ex "/tmp/step-$1"
}
once() { # once WORDS COMMAND...: not tried again
    local words=$1
    shift
    saw -1 "$words" "$@"
}

once "step 4, as written: install" step 4
echo '127.0.0.1 centre' >>/etc/hosts
cat >people.csv <<'CSV'
kind,issuer,identifier,colour
opaque,health,HC:GREEN,green
opaque,health,HC:CAMERA,green
opaque,health,HC:RED,red
CSV
chmod 755 . && chmod 644 people.csv
once "the backend, as written: authority, people, start" step 0
saw 60 "the backend runs under its sandbox" eval 'get /healthz 9480 | head -1 | grep -q " 200 "'
once "step 5, as written: enrol" step 5
cd /var/lib/turnstiled-backend/gate-7 || echo "WRONG there is no bundle"
once "step 6, as written: config and secrets" step 6
cd /rig || exit 1
cat >/etc/turnstiled/trust.toml <<'TOML'
version = 1
issuer = [{ id = "health", profile = "opaque", detect = [{ prefix = "HC:" }] }]
TOML
# What differs here from the drawing: a scanner in the place of the card module, no end switches, nobody is refused for
# coming again, and time to walk for an emulated gate.
sed -i -e 's|^chip = .*|chip = "/dev/turnstiled/board-platform-gpio-sim.0"|' -e '/^opened\|^closed/d' -e 's|lane1-entry-card|lane1-entry-scanner|' \
    -e 's|^id_card = .*|line = { port = "/dev/turnstiled/lane1-entry-scanner", baud = 9600 }|' \
    -e 's|^directions = .*|&\nrelease_ms = 15000\nobstruction_ms = 60000|' \
    -e 's|^trust_file.*|&\nhttp = { listen = "0.0.0.0:9464" }\nclock = { trust = "always" }\npassback = { mode = "off" }|' /etc/turnstiled/gate.toml
cat >/etc/udev/rules.d/71-turnstiled-names.rules <<'RULES'
# The scanner of the way in, by its socket.
SUBSYSTEM=="tty", ENV{ID_PATH}=="platform-dummy_hcd.0-usb-0:1:1.0", SYMLINK+="turnstiled/lane1-entry-scanner"
# The camera, which has no socket here.
SUBSYSTEM=="video4linux", ATTR{name}=="gate", SYMLINK+="turnstiled/lane1-entry-camera"
RULES
echo dummy_udc.0 >"$gadget/UDC"
saw 20 "the scanner is plugged in" test -c /dev/ttyACM0
once "step 7, as written: names" step 7
saw 20 "the scanner has the name of its socket" test -c /dev/turnstiled/lane1-entry-scanner
saw 10 "and a short one that needs no rule of the site" sh -c 'ls /dev/turnstiled/port-*'
saw 10 "the camera has its name" test -c /dev/turnstiled/lane1-entry-camera
saw 10 "the relay board is the group gpio's" sh -c '[ "$(stat -c "%G %a" /dev/gpiochip0)" = "gpio 660" ]'
saw 10 "and has a name that stays" test -c /dev/turnstiled/board-platform-gpio-sim.0
saw 10 "ModemManager is told to leave the scanner alone" sh -c 'udevadm info -q property /dev/ttyACM0 | grep -x ID_MM_DEVICE_IGNORE=1'
# Fewer rows than on a card, and either verdict: what is judged here is memory, at the speed of an emulated machine.
export ROWS=20000
once "step 8, as written: the card is judged" eval 'step 8 >/tmp/verdict; grep "good enough for a gate" /tmp/verdict'
./player /dev/video0 640 480 empty.grey & player=$!
saw 90 "step 9, as written: start and doctor" step 9
sed 's/^/      /' /tmp/said
saw 90 "the gate is ready under its sandbox" is_active turnstiled
saw 5 "it runs as its own user" sh -c '[ "$(ps -o user= -p "$(systemctl show -p MainPID --value turnstiled)")" = turnstiled ]'
saw 60 "lines, camera and scanner are up" eval 'metric "turnstile_device_up{device=\"lines\"} 1" && metric "turnstile_device_up{device=\"lane1-entry-camera\"} 1" && metric "turnstile_device_up{device=\"lane1-entry-scanner\"} 1"'
saw 60 "/readyz says ready: devices are there and the list is in force" eval 'get /readyz | head -1 | grep -q " 200 "'
saw 1 "a red code holds" never_opens_for HC:RED
saw 20 "a green code at the scanner opens" opens_for HC:GREEN
walk
saw 30 "the flap locks behind them" is_locked
kill $player; wait $player 2>/dev/null
./player /dev/video0 640 480 code.grey & player=$!
saw 60 "a green code at the camera opens" is_released
kill $player; wait $player 2>/dev/null
walk
saw 60 "and it locks again" is_locked
once "step 10, as written: both are at the backend" step 10
saw 60 "a grant and a refusal" eval 'step 10 >/tmp/passages && grep -q "\"grant\"" /tmp/passages && grep -q red_code /tmp/passages'
set_line 15 up
saw 15 "an open fire loop opens" is_released
set_line 15 down
sleep 2
saw 1 "the fire is latched" is_released
saw 10 "staff reset it" turnstiled lane reset-fire
saw 30 "and it locks" is_locked

echo "" >"$gadget/UDC"
saw 30 "an unplugged scanner is noticed" metric 'turnstile_device_up{device="lane1-entry-scanner"} 0'
echo dummy_udc.0 >"$gadget/UDC"
saw 60 "plugged in again it is found by its name" metric 'turnstile_device_up{device="lane1-entry-scanner"} 1'
saw 20 "and opens" opens_for HC:GREEN
walk
saw 30 "and locks" is_locked
./player /dev/video0 640 480 empty.grey & player=$!
saw 60 "a camera that was away is up again" metric 'turnstile_device_up{device="lane1-entry-camera"} 1'
echo 0 >"$board/live"
saw 60 "an unplugged relay board is noticed" metric 'turnstile_device_up{device="lines"} 0'
echo 1 >"$board/live"
udevadm trigger --action=add --subsystem-match=gpio
saw 60 "plugged in again it is found" metric 'turnstile_device_up{device="lines"} 1'

kill $player; wait $player 2>/dev/null
get /metrics | sed '1,/^\r$/d' >/tmp/metrics
echo "METRICS BEGIN"; cat /tmp/metrics; echo "METRICS END"
saw 20 "it opens before it is killed" opens_for HC:GREEN
pid=$(systemctl show -p MainPID --value turnstiled)
kill -9 "$pid"
saw 5 "killed, its lines are undriven" is_locked
saw 90 "and systemd starts it again" is_active turnstiled
saw 60 "with its list" eval 'opens_for HC:GREEN'
walk

saw 10 "a reload is taken" systemctl reload turnstiled
saw 1 "it upgrades" dpkg --force-confold -i two.deb
saw 60 "and is ready" is_active turnstiled
saw 1 "there is no way back in force" test ! -e /etc/systemd/system/turnstiled.service.d/50-previous-version.conf
saw 1 "a version that is never ready installs" dpkg --force-confold -i never.deb
saw 5 "the version before is in force" grep -q turnstiled-versions/previous /etc/systemd/system/turnstiled.service.d/50-previous-version.conf
saw 60 "and is ready" is_active turnstiled
saw 60 "and opens" eval 'opens_for HC:GREEN'
systemctl stop turnstiled
saw 5 "stopped, its lines are undriven" is_locked
saw 1 "it is purged" dpkg -P turnstiled
saw 1 "and nothing is left" sh -c '! find /etc/turnstiled /var/lib/turnstiled /usr/bin/turnstiled /lib/systemd/system/turnstiled.service 2>/dev/null | grep .'
echo "RIG DONE"
sync
systemctl poweroff -f
