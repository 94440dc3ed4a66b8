// Plays grey pictures into a V4L2 output device as YUYV frames, ten a second, until it is ended:
// player DEVICE WIDTH HEIGHT FILE, where FILE holds pictures [n x height x width] u8, row-major. For the rigs only.
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int fail(const char *what) {
    fprintf(stderr, "player: %s: %s\n", what, strerror(errno));
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 5) return fprintf(stderr, "player DEVICE WIDTH HEIGHT FILE\n"), 2;
    size_t width = strtoul(argv[2], 0, 10), height = strtoul(argv[3], 0, 10), pixels = width * height;
    int device = open(argv[1], O_RDWR);
    if (device < 0) return fail(argv[1]);
    struct v4l2_format format = {.type = V4L2_BUF_TYPE_VIDEO_OUTPUT};
    format.fmt.pix.width = width;
    format.fmt.pix.height = height;
    format.fmt.pix.pixelformat = V4L2_PIX_FMT_YUYV;
    format.fmt.pix.field = V4L2_FIELD_NONE;
    format.fmt.pix.bytesperline = 2 * width;
    format.fmt.pix.sizeimage = 2 * pixels;
    if (ioctl(device, VIDIOC_S_FMT, &format)) return fail("VIDIOC_S_FMT");
    FILE *file = 0;
    unsigned char *grey = malloc(pixels), *frame = malloc(2 * pixels);
    if (!grey || !frame) return fail("memory");
    for (;;) {
        if (!file || fread(grey, 1, pixels, file) != pixels) {
            // Opened anew each time, so that another file may be moved into its place.
            if (file) fclose(file);
            file = fopen(argv[4], "rb");
            if (!file) return fail(argv[4]);
            if (fread(grey, 1, pixels, file) != pixels) return fail("no whole picture");
        }
        for (size_t at = 0; at < pixels; at++) frame[2 * at] = grey[at], frame[2 * at + 1] = 128;
        // A sensor has noise; a picture that does not change at all is a frozen camera to the daemon.
        for (int dot = 0; dot < 200; dot++) frame[2 * ((size_t)rand() % pixels)] ^= 3;
        if (write(device, frame, 2 * pixels) < 0) return fail("write");
        usleep(100000);
    }
}
