/* SPDX-License-Identifier: BSD-2-Clause */
/* attr.c - the bus as files: what is read from a file, and what writing to it does */
#include <errno.h>
#include <inttypes.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/utf8.h"
#include "sysfs/view.h"

/* ---- what is read ------------------------------------------------------------------------ */

/* Lines of "KEY VALUE"; what would be a line's end in a value stands as in the files of proc(5). */
struct emit_lines {
	struct uvdpa_emit emit;
	FILE *f;
};

static void line_str(struct uvdpa_emit *e, const char *key, const char *value)
{
	FILE *f = container_of(e, struct emit_lines, emit)->f;

	fprintf(f, "%s ", key);
	for (; *value; value++)
		if (*value == '\n' || *value == '\\')
			fprintf(f, "\\%03o", *value);
		else
			fputc(*value, f);
	fputc('\n', f);
}

static void line_num(struct uvdpa_emit *e, const char *key, uint64_t value)
{
	fprintf(container_of(e, struct emit_lines, emit)->f, "%s %" PRIu64 "\n", key, value);
}

static void line_flag(struct uvdpa_emit *e, const char *key, bool value)
{
	fprintf(container_of(e, struct emit_lines, emit)->f, "%s %s\n", key,
		value ? "true" : "false");
}

static struct emit_lines lines_to(FILE *f)
{
	return (struct emit_lines){ .emit = { .str = line_str, .num = line_num, .flag = line_flag },
				    .f = f };
}

int vd_sysfs_show_autoprobe(struct vd_sysfs *fs, const struct ref *r, FILE *f)
{
	(void)r;
	fprintf(f, "%d\n", fs->autoprobe);
	return 0;
}

int vd_sysfs_show_override(struct vd_sysfs *fs, const struct ref *r, FILE *f)
{
	const char *override = uvdpa_dev_override(r->seen->dev);

	(void)fs;
	fprintf(f, "%s\n", override ? override : "(null)"); /* Linux's word */
	return 0;
}

int vd_sysfs_show_uevent(struct vd_sysfs *fs, const struct ref *r, FILE *f)
{
	const struct uvdpa_driver *driver = uvdpa_dev_driver(r->seen->dev);

	(void)fs;
	if (driver)
		fprintf(f, "DRIVER=%s\n", vd_sysfs_driver(driver));
	return 0;
}

int vd_sysfs_show_type(struct vd_sysfs *fs, const struct ref *r, FILE *f)
{
	const char *type = uvdpa_type_name(uvdpa_dev_info(r->seen->dev)->device_id);

	(void)fs;
	fprintf(f, "%s\n", type ? type : "<unknown type>");
	return 0;
}

int vd_sysfs_show_mgmtdev(struct vd_sysfs *fs, const struct ref *r, FILE *f)
{
	(void)fs;
	fprintf(f, "%s\n", uvdpa_parent_name(uvdpa_dev_parent(r->seen->dev)));
	return 0;
}

int vd_sysfs_show_ready(struct vd_sysfs *fs, const struct ref *r, FILE *f)
{
	(void)fs;
	fprintf(f, "%d\n", uvdpa_dev_ready(r->seen->dev));
	return 0;
}

int vd_sysfs_show_status(struct vd_sysfs *fs, const struct ref *r, FILE *f)
{
	uint8_t status = uvdpa_dev_status(r->seen->dev);
	const char *name;

	(void)fs;
	fprintf(f, "0x%02x", status);
	for (unsigned int n = 0; (name = uvdpa_status_name(status, n)); n++)
		fprintf(f, " %s", name);
	fputc('\n', f);
	return 0;
}

static int features(FILE *f, const struct uvdpa_dev *dev, uint64_t bits)
{
	fprintf(f, "0x%" PRIx64, bits);
	for (unsigned int bit = 0; bit < 64; bit++) {
		const char *name = uvdpa_feature_name(uvdpa_dev_info(dev)->device_id, bit);

		if (bits >> bit & 1 && name)
			fprintf(f, " %s", name);
		else if (bits >> bit & 1)
			fprintf(f, " bit_%u", bit);
	}
	fputc('\n', f);
	return 0;
}

int vd_sysfs_show_features(struct vd_sysfs *fs, const struct ref *r, FILE *f)
{
	(void)fs;
	return features(f, r->seen->dev, uvdpa_dev_info(r->seen->dev)->features);
}

int vd_sysfs_show_negotiated(struct vd_sysfs *fs, const struct ref *r, FILE *f)
{
	(void)fs;
	return features(f, r->seen->dev, uvdpa_dev_features(r->seen->dev));
}

int vd_sysfs_show_endpoint(struct vd_sysfs *fs, const struct ref *r, FILE *f)
{
	struct emit_lines e = lines_to(f);

	(void)fs;
	return uvdpa_dev_driver(r->seen->dev) ? uvdpa_dev_describe(r->seen->dev, &e.emit) : 0;
}

int vd_sysfs_show_config(struct vd_sysfs *fs, const struct ref *r, FILE *f)
{
	struct emit_lines e = lines_to(f);

	(void)fs;
	return uvdpa_dev_config_show(r->seen->dev, &e.emit);
}

int vd_sysfs_show_attrs(struct vd_sysfs *fs, const struct ref *r, FILE *f)
{
	struct emit_lines e = lines_to(f);

	(void)fs;
	uvdpa_dev_attrs(r->seen->dev, &e.emit);
	return 0;
}

/* ---- options that are kept --------------------------------------------------------------- */

static struct kept *kept_of(struct seen *s, const struct uvdpa_driver *driver)
{
	struct kept *k;

	vd_list_for_each(k, &s->kept, node)
		if (k->driver == driver)
			return k;
	return NULL;
}

void vd_sysfs_forget(struct kept *k)
{
	vd_list_del(&k->node);
	free(k->text);
	free(k);
}

/* Takes @text. */
static int keep(struct seen *s, const struct uvdpa_driver *driver, char *text)
{
	struct kept *k = kept_of(s, driver);

	if (k)
		vd_sysfs_forget(k);
	k = text ? calloc(1, sizeof(*k)) : NULL;
	if (!k) {
		free(text);
		return vd_err(-ENOMEM, "%s: no memory", uvdpa_dev_name(s->dev));
	}
	k->driver = driver;
	k->text = text;
	vd_list_add(&s->kept, &k->node);
	return 0;
}

/* Those of the driver that has it: "" on the way between two. Return: malloc()ed, or NULL. */
static char *present(const struct uvdpa_dev *dev, const struct uvdpa_driver *driver)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	struct emit_lines e = lines_to(f);
	const struct uvdpa_driver *on_its_way;

	if (!f)
		return NULL;
	on_its_way = uvdpa_dev_driver_attrs(dev, &e.emit);
	if (fclose(f) || on_its_way != driver) {
		free(text);
		return NULL;
	}
	return text;
}

void vd_sysfs_bound(struct seen *s)
{
	const struct uvdpa_driver *driver = uvdpa_dev_driver(s->dev);
	struct kept *next = kept_of(s, NULL);
	char *text = driver ? present(s->dev, driver) : NULL;

	if (!text)
		return;
	s->last = driver;
	keep(s, driver, text);
	if (next)
		vd_sysfs_forget(next); /* they were for this */
}

/* What a bind to @driver would use. */
static struct kept *kept_for(struct seen *s, const struct uvdpa_driver *driver)
{
	struct kept *k = kept_of(s, NULL);

	return k ? k : kept_of(s, driver);
}

int vd_sysfs_show_driver_attrs(struct vd_sysfs *fs, const struct ref *r, FILE *f)
{
	struct kept *k = kept_for(r->seen, r->seen->last);

	(void)fs;
	if (k)
		fputs(k->text, f);
	return 0;
}

int vd_sysfs_store_driver_attrs(struct vd_sysfs *fs, const struct ref *r, char *text, size_t len,
				fuse_req_t req)
{
	struct kept *k = kept_of(r->seen, NULL);

	(void)len;
	(void)req;
	if (vd_utf8_bad(text)) {
		vd_log_warn(fs->log, "sysfs", "%s: driver_attrs that are not UTF-8",
			    uvdpa_dev_name(r->seen->dev));
		return -EINVAL;
	}
	if (!text[strspn(text, " \n")]) {
		if (k)
			vd_sysfs_forget(k);
		return 0;
	}
	return keep(r->seen, NULL, strdup(text));
}

/* ---- binding ----------------------------------------------------------------------------- */

/* Somebody who writes, and waits for the end of it. */
struct writer {
	struct uvdpa_wait w;
	struct vd_sysfs *fs;
	fuse_req_t req; /* NULL: the bus itself */
	size_t len;
};

/* It says what for, and the reason, which an errno has not. Frees @wr. */
static void ended(struct writer *wr, int err)
{
	if (err == -ETIMEDOUT)
		err = 0; /* unbound all the same */
	if (err)
		vd_log_warn(wr->fs->log, "sysfs", "%s", uvdpa_error());
	if (wr->req && err)
		fuse_reply_err(wr->req, -err);
	else if (wr->req)
		fuse_reply_write(wr->req, wr->len);
	free(wr);
}

static void wait_done(struct uvdpa_wait *w, int err)
{
	ended(container_of(w, struct writer, w), err);
}

static struct writer *writer_of(struct vd_sysfs *fs, size_t len, fuse_req_t req)
{
	struct writer *wr = calloc(1, sizeof(*wr));

	if (!wr)
		return NULL;
	wr->w.done = wait_done;
	wr->fs = fs;
	wr->req = req;
	wr->len = len;
	return wr;
}

/* Return: -EINPROGRESS, whoever waits is answered. */
static int begun(struct writer *wr, int r)
{
	if (r != -EINPROGRESS)
		ended(wr, r);
	return -EINPROGRESS;
}

#define ATTRS_MAX 64u

/* The opposite of line_str(). */
static char *plain(char *value)
{
	char *to = value;

	for (const char *p = value; *p; to++) {
		bool newline = !strncmp(p, "\\012", 4);
		bool escaped = newline || !strncmp(p, "\\134", 4);

		*to = *p;
		if (newline)
			*to = '\n';
		p += escaped ? 4 : 1;
	}
	*to = '\0';
	return value;
}

/* Pairs of what @text has in its lines, which it is cut into. Return: how many. */
static unsigned int split(char *text, struct uvdpa_attr *attrs)
{
	unsigned int n = 0;
	char *line, *space;

	while (n < ATTRS_MAX && (line = strsep(&text, "\n"))) {
		space = strchr(line, ' ');
		if (!*line)
			continue;
		if (space)
			*space++ = '\0';
		attrs[n++] = (struct uvdpa_attr){ line, space ? plain(space) : "" };
	}
	return n;
}

static bool takes(const struct uvdpa_driver *driver, const char *key)
{
	for (const struct uvdpa_opt *o = uvdpa_driver_opts(driver); o && o->key; o++)
		if (!strcmp(o->key, key))
			return true;
	return false;
}

/*
 * Options of a driver of which nobody has said anything: as in Linux, it does what there is to be
 * done. Return: malloc()ed; NULL: no memory.
 */
static char *default_text(struct vd_sysfs *fs, const struct uvdpa_dev *dev,
			  const struct uvdpa_driver *driver)
{
	const char *name = uvdpa_dev_name(dev);
	char *text;
	int n;

	if (takes(driver, "socket"))
		n = asprintf(&text, "socket %s/%s.sock", fs->folder, name);
	else if (takes(driver, "tap") && uvdpa_dev_info(dev)->device_id == VIRTIO_ID_NET &&
		 strlen(name) < IFNAMSIZ)
		n = asprintf(&text, "tap %s", name);
	else
		return strdup("");
	return n < 0 ? NULL : text;
}

/* Bind it with the options that are kept. Return: as uvdpa_dev_bind(). */
static int bind_kept(struct vd_sysfs *fs, struct seen *s, const struct uvdpa_driver *driver,
		     struct uvdpa_wait *w)
{
	struct kept *k = kept_for(s, driver);
	struct uvdpa_attr attrs[ATTRS_MAX];
	unsigned int n;
	char *text;
	int r;

	text = k ? strdup(k->text) : default_text(fs, s->dev, driver);
	if (!text)
		return vd_err(-ENOMEM, "%s: no memory", uvdpa_dev_name(s->dev));
	n = split(text, attrs);
	r = uvdpa_dev_bind(s->dev, uvdpa_driver_name(driver), attrs, n, w);
	free(text);
	return r;
}

static int bind_to(struct vd_sysfs *fs, struct seen *s, const struct uvdpa_driver *driver,
		   size_t len, fuse_req_t req)
{
	struct writer *wr = writer_of(fs, len, req);

	if (!wr)
		return vd_err(-ENOMEM, "%s: no memory", uvdpa_dev_name(s->dev));
	return begun(wr, bind_kept(fs, s, driver, &wr->w));
}

/* The device whose name was written, with or without a newline. Return: NULL: there is none. */
static struct seen *written(struct vd_sysfs *fs, char *text)
{
	size_t len = strlen(text);

	if (len && text[len - 1] == '\n')
		text[len - 1] = '\0';
	return vd_sysfs_find(fs, text);
}

int vd_sysfs_store_bind(struct vd_sysfs *fs, const struct ref *r, char *text, size_t len,
			fuse_req_t req)
{
	struct seen *s = written(fs, text);

	if (!s)
		return -ENODEV;
	if (uvdpa_dev_driver(s->dev))
		return -EBUSY; /* as Linux; uvdpa_dev_bind() would move it */
	return bind_to(fs, s, r->driver, len, req);
}

int vd_sysfs_store_unbind(struct vd_sysfs *fs, const struct ref *r, char *text, size_t len,
			  fuse_req_t req)
{
	struct seen *s = written(fs, text);
	struct writer *wr;

	if (!s || uvdpa_dev_driver(s->dev) != r->driver)
		return -ENODEV;
	wr = writer_of(fs, len, req);
	if (!wr)
		return vd_err(-ENOMEM, "%s: no memory", text);
	return begun(wr, uvdpa_dev_unbind(s->dev, &wr->w));
}

/* Whom a device without a driver shall have: its override, or the one that it had last. */
static const struct uvdpa_driver *choice(struct vd_sysfs *fs, const struct seen *s)
{
	const char *override = uvdpa_dev_override(s->dev);

	return override ? uvdpa_driver_find(fs->u, override) : s->last;
}

static int probe(struct vd_sysfs *fs, struct seen *s, size_t len, fuse_req_t req)
{
	const struct uvdpa_driver *driver = choice(fs, s);

	if (uvdpa_dev_driver(s->dev) || !driver)
		return 0;
	return bind_to(fs, s, driver, len, req);
}

static void nothing(struct uvdpa_emit *e, const char *key, const char *value)
{
	(void)e;
	(void)key;
	(void)value;
}

void vd_sysfs_probe(struct vd_sysfs *fs, struct seen *s)
{
	struct emit_lines e = { .emit = { .str = nothing, .num = line_num, .flag = line_flag } };

	if (!uvdpa_dev_driver_attrs(s->dev, &e.emit))
		probe(fs, s, 0, NULL);
}

int vd_sysfs_store_probe(struct vd_sysfs *fs, const struct ref *r, char *text, size_t len,
			 fuse_req_t req)
{
	struct seen *s = written(fs, text);

	(void)r;
	return s ? probe(fs, s, len, req) : -ENODEV;
}

int vd_sysfs_store_autoprobe(struct vd_sysfs *fs, const struct ref *r, char *text, size_t len,
			     fuse_req_t req)
{
	(void)r;
	(void)len;
	(void)req;
	fs->autoprobe = *text != '0';
	return 0;
}

int vd_sysfs_store_override(struct vd_sysfs *fs, const struct ref *r, char *text, size_t len,
			    fuse_req_t req)
{
	int err;

	(void)len;
	(void)req;
	text[strcspn(text, "\n")] = '\0';
	err = uvdpa_dev_set_override(r->seen->dev, text);
	if (err)
		vd_log_warn(fs->log, "sysfs", "%s", uvdpa_error());
	return err;
}
