/* SPDX-License-Identifier: BSD-2-Clause */
#include "parent/nbd-fx.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS 32
#define SLOT  (BED_SIZE / 64)

char fx_dir[] = "/tmp/nbd-test-XXXXXX";
char fx_socket[64], fx_image[64], fx_log[64];
static char fx_pidfile[64]; /* there when it listens */
static pid_t server;

int fx_check(void)
{
	pid_t pid = fork();
	int status = -1;

	if (!pid) {
		if (freopen("/dev/null", "w", stdout))
			execlp("nbdkit", "nbdkit", "--version", NULL);
		_exit(127);
	}
	if (pid > 0 && waitpid(pid, &status, 0) == pid && status == 0)
		return 0;
	puts("no program nbdkit");
	return 77;
}

int fx_begin(void **state)
{
	(void)state;
	if (!mkdtemp(fx_dir))
		return -1;
	snprintf(fx_socket, sizeof(fx_socket), "%s/socket", fx_dir);
	snprintf(fx_pidfile, sizeof(fx_pidfile), "%s/pid", fx_dir);
	snprintf(fx_image, sizeof(fx_image), "%s/image", fx_dir);
	snprintf(fx_log, sizeof(fx_log), "%s/log", fx_dir);
	return 0;
}

int fx_end(void **state)
{
	fx_after(state);
	return rmdir(fx_dir);
}

int fx_after(void **state)
{
	(void)state;
	fx_kill();
	unlink(fx_image);
	unlink(fx_log);
	return 0;
}

/* One word: a tab is a space in it, $LOG is fx_log. */
static char *word(char *w, char *to, size_t size)
{
	char *log = strstr(w, "$LOG");

	for (char *tab = w; (tab = strchr(tab, '\t'));)
		*tab = ' ';
	if (!log)
		return w;
	snprintf(to, size, "%.*s%s%s", (int)(log - w), w, fx_log, log + 4);
	return to;
}

void fx_serve(const char *words)
{
	char text[512], log[128],
		*argv[WORDS] = { (char[]){ "nbdkit" }, (char[]){ "-f" }, (char[]){ "-P" },
				 fx_pidfile,           (char[]){ "-U" }, fx_socket };
	unsigned int n = 6;

	snprintf(text, sizeof(text), "%s", words);
	for (char *w = strtok(text, " "); w; w = strtok(NULL, " ")) {
		assert_true(n + 1 < WORDS);
		argv[n++] = word(w, log, sizeof(log));
	}
	assert_int_equal(server, 0);
	server = fork();
	assert_true(server >= 0);
	if (!server) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execvp(argv[0], argv);
		_exit(127);
	}
	for (unsigned int i = 0; access(fx_pidfile, F_OK); i++) {
		assert_int_equal(waitpid(server, NULL, WNOHANG), 0);
		assert_true(i < 1000);
		usleep(10000);
	}
}

void fx_signal(int sig)
{
	int status;

	assert_int_equal(kill(server, sig), 0);
	/* All of its threads have to be told. */
	if (sig == SIGSTOP)
		assert_int_equal(waitpid(server, &status, WUNTRACED), server);
}

void fx_kill(void)
{
	if (server) {
		kill(server, SIGKILL);
		waitpid(server, NULL, 0);
	}
	server = 0;
	unlink(fx_pidfile);
	unlink(fx_socket);
}

void fx_image_make(void)
{
	int fd = open(fx_image, O_CREAT | O_RDWR | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, FX_DISK), 0);
	close(fd);
}

unsigned int fx_logged(const char *word)
{
	FILE *f = fopen(fx_log, "re");
	char line[512];
	unsigned int n = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, word) != NULL;
	fclose(f);
	return n;
}

int fx_add(struct bed *b, const char *const *more)
{
	const char *attrs[32] = { "socket", fx_socket, "reconnect_ms", "50" };
	unsigned int n = 4;

	while (more && *more)
		attrs[n++] = *more++;
	return bed_add(b, "nbd", attrs);
}

void fx_start(struct bed *b, const char *const *more, const struct bed_conf *c)
{
	assert_int_equal(fx_add(b, more), 0);
	bed_start(b, c);
}

void fx_pattern(uint8_t *to, size_t len, unsigned int seed)
{
	for (size_t i = 0; i < len; i++)
		to[i] = seed ? (uint8_t)(seed * 31 + i * 7 + (i >> 8)) : 0;
}

uint8_t fx_write(struct bed *b, uint64_t sector, uint32_t len, unsigned int seed)
{
	static uint8_t data[1u << 19];
	struct bed_io io = { VIRTIO_BLK_T_OUT, sector, data, len, 0 };

	fx_pattern(data, len, seed);
	return bed_io(b, 0, &io);
}

uint8_t fx_read(struct bed *b, uint64_t sector, uint32_t len, unsigned int seed)
{
	static uint8_t data[1u << 19], want[1u << 19];
	struct bed_io io = { VIRTIO_BLK_T_IN, sector, data, len, 0 };
	uint8_t status = bed_io(b, 0, &io);

	assert_int_equal(io.used, len + 1);
	fx_pattern(want, len, status ? 0 : seed); /* what failed is zeros */
	assert_memory_equal(data, want, len);
	return status;
}

uint8_t fx_flush(struct bed *b)
{
	struct bed_io io = { VIRTIO_BLK_T_FLUSH, 0, NULL, 0, 0 };

	return bed_io(b, 0, &io);
}

uint8_t fx_range(struct bed *b, uint32_t type, uint64_t sector, uint32_t n, uint32_t flags)
{
	struct virtio_blk_discard_write_zeroes seg = {
		.sector = htole64(sector),
		.num_sectors = htole32(n),
		.flags = htole32(flags),
	};
	struct bed_io io = { type, 0, &seg, sizeof(seg), 0 };

	return bed_io(b, 0, &io);
}

static uint64_t slot_at(unsigned int slot)
{
	return BED_RINGS + slot * SLOT;
}

int fx_put(struct bed *b, unsigned int slot, uint32_t type, uint64_t sector, uint32_t len,
	   unsigned int seed)
{
	uint64_t at = slot_at(slot);
	struct virtio_blk_outhdr hdr = { .type = htole32(type), .sector = htole64(sector) };
	bool out = type == VIRTIO_BLK_T_OUT;
	struct vd_buf bufs[3] = { { bed_iova(at), 16 },
				  { bed_iova(at + 1024), len },
				  { bed_iova(at + 16), 1 } };

	assert_true(at + SLOT <= BED_SIZE && len + 1024 <= SLOT);
	memcpy(b->mem + at, &hdr, sizeof(hdr));
	b->mem[at + 16] = 0xff;
	fx_pattern(b->mem + at + 1024, len, seed);
	if (len)
		return bed_add_req(b, 0, bufs, out ? 2 : 1, out ? 1 : 2);
	bufs[1] = bufs[2];
	return bed_add_req(b, 0, bufs, 1, 1);
}

uint8_t fx_status(struct bed *b, unsigned int slot)
{
	return b->mem[slot_at(slot) + 16];
}
