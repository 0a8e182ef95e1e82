/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blk-checksum.c - the sum that sha256sum has of the same bytes
 *
 * By libcrypto: it is on nearly every machine, uses what the processor has for it, and is looked
 * after. The kernel's own (AF_ALG) is often left out or forbidden, and copies through a socket.
 */
#include <stdio.h>

#include "config.h"
#include "base/loop.h"
#include "uvdpa/disk.h"

#if HAVE_LIBCRYPTO
#include <openssl/evp.h>

struct checksum {
	struct work work;
	struct stream stream;
	EVP_MD_CTX *md;
};

static int feed(struct work *w)
{
	struct checksum *c = container_of(w, struct checksum, work);
	const struct stream_slot *s;
	const uint8_t *data;

	stream_feed(&c->stream);
	while ((s = stream_get(&c->stream, &data))) {
		if (EVP_DigestUpdate(c->md, data, s->len) != 1)
			return print_error("sha256 failed");
		w->progress.at += s->len;
		stream_put(&c->stream);
	}
	return stream_hungry(&c->stream);
}

/* As sha256sum writes it, so that "sha256sum -c" reads it. */
static void tell(const struct cmd *cmd, const struct checksum *c, const char *hex)
{
	struct disk *d = c->stream.disk;
	struct json_object *o;

	if (!cmd->json) {
		printf("%s  %s\n", hex, d->word);
		return;
	}
	o = json_object_new_object();
	json_object_object_add(o, "sha256", json_object_new_string(hex));
	json_object_object_add(o, "bytes", json_object_new_uint64(d->size));
	blk_add_rate(o, (double)(vd_now_ns() - c->work.progress.since_ns) / 1e9, d->size);
	blk_result(cmd, "checksum", d->word, o, PRINT_LINE);
}

static int checksum(struct session *s, const char *word)
{
	struct checksum c = { .work = { .s = s, .feed = feed, .done = stream_done } };
	const struct disk_want want = { .mem = STREAM_MEM, .queues = 1 };
	unsigned char sum[EVP_MAX_MD_SIZE];
	char hex[2 * EVP_MAX_MD_SIZE + 1];
	unsigned int len = 0;
	struct disk *d;
	int r = disk_open(s, word, &want, &d);

	if (!r)
		r = stream_begin(&c.stream, d, disk_chunk(d), 0, d->size);
	if (r)
		return r;
	c.work.progress.total = d->size;
	c.md = EVP_MD_CTX_new();
	if (!c.md || EVP_DigestInit_ex(c.md, EVP_sha256(), NULL) != 1)
		r = print_error("no sha256 in libcrypto");
	if (!r)
		r = work_run(&c.work);
	if (!r && EVP_DigestFinal_ex(c.md, sum, &len) != 1)
		r = print_error("sha256 failed");
	EVP_MD_CTX_free(c.md);
	for (unsigned int i = 0; i < len; i++)
		snprintf(hex + 2 * i, 3, "%02x", sum[i]);
	if (!r)
		tell(s->cmd, &c, hex);
	return r;
}
#else
static int checksum(struct session *s, const char *word)
{
	(void)s;
	return print_error("%s: built without libcrypto, which makes the sum", word);
}
#endif

int blk_checksum(const struct cmd *cmd, int argc, char **argv)
{
	struct session s;
	int r;

	(void)argc;
	r = session_begin(&s, cmd);
	if (!r)
		r = checksum(&s, argv[0]);
	return session_end(&s, r);
}
