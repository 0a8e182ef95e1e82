/* SPDX-License-Identifier: BSD-2-Clause */
#include "uvdpad/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/guess.h"
#include "control/line.h"
#include "control/words.h"

#define READ_FIRST (64u << 10) /* bytes that there is room for at first */

/* ---- devices -------------------------------------------------------------------------------- */

struct conf_dev *conf_find(const struct conf *c, const char *name)
{
	struct conf_dev *d;

	vd_list_for_each(d, &c->devs, node)
		if (!strcmp(d->name, name))
			return d;
	return NULL;
}

void conf_dev_free(struct conf_dev *d)
{
	vd_list_del(&d->node);
	d->c->n--;
	json_object_put(d->params);
	json_object_put(d->made);
	json_object_put(d->away);
	json_object_put(d->come);
	free(d);
}

void conf_fini(struct conf *c)
{
	struct conf_dev *d, *tmp;

	if (!c->devs.next)
		return;
	vd_list_for_each_safe(d, tmp, &c->devs, node)
		conf_dev_free(d);
}

/* ---- paths ---------------------------------------------------------------------------------- */

/* The daemon's working directory is no business of a file's author. */
static int absolute(const struct uvdpa_opt *table, struct json_object *params, const char *name)
{
	struct json_object *attrs, *value;

	if (!json_object_object_get_ex(params, name, &attrs))
		return 0;
	for (; table->key; table++)
		if (table->type == UVDPA_OPT_PATH &&
		    json_object_object_get_ex(attrs, table->key, &value) &&
		    *json_object_get_string(value) != '/')
			return vd_err(-EINVAL, "%s is \"%s\", not an absolute path", table->key,
				      json_object_get_string(value));
	return 0;
}

static int check_paths(struct uvdpa *u, struct json_object *params)
{
	const struct uvdpa_parent *p;
	const struct uvdpa_driver *d;
	struct json_object *name;
	int r = 0;

	json_object_object_get_ex(params, "mgmtdev", &name);
	p = uvdpa_parent_find(u, json_object_get_string(name));
	if (p)
		r = absolute(uvdpa_parent_opts(p), params, "attrs");
	if (r || !json_object_object_get_ex(params, "driver", &name))
		return r;
	d = uvdpa_driver_find(u, json_object_get_string(name));
	return d ? absolute(uvdpa_driver_opts(d), params, "driver_attrs") : 0;
}

/* ---- commands ------------------------------------------------------------------------------- */

struct reader {
	struct conf *c;
	struct uvdpa *u;
	unsigned int line;
};

static int check(struct reader *rd, struct json_object *params)
{
	int r = vd_control_check(rd->u, params);

	return r || rd->c->clients ? r : check_paths(rd->u, params);
}

static const char *param(struct json_object *params, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(params, key, &v) ? json_object_get_string(v) : NULL;
}

/* Takes @params on success. */
static int take(struct reader *rd, struct json_object *params)
{
	const char *name = param(params, "name");
	struct conf_dev *d;
	int r;

	if (!name || !param(params, "mgmtdev"))
		return vd_err(-EINVAL, "%s is missing: dev add name NAME mgmtdev MGMTDEV ...",
			      name ? "mgmtdev" : "name");
	d = conf_find(rd->c, name);
	if (d)
		return vd_err(-EEXIST, "name %s is taken, by line %u", name, d->line);
	r = check(rd, params);
	if (r)
		return r;
	d = calloc(1, sizeof(*d));
	if (!d)
		return vd_err(-ENOMEM, "no memory");
	d->c = rd->c;
	d->line = rd->line;
	d->name = name;
	d->params = params;
	vd_list_add(&rd->c->devs, &d->node);
	rd->c->n++;
	return 0;
}

static int add(struct reader *rd, int argc, char **argv)
{
	struct json_object *params;
	int r = vd_words_dev(argc, argv, &params);

	if (r)
		return r;
	r = take(rd, params);
	if (r)
		json_object_put(params);
	return r;
}

/* Of "DEV DRIVER": the device, which stands above. */
static int of_dev(struct reader *rd, int argc, char **argv, const char *usage,
		  struct conf_dev **ret_d)
{
	const char *best = NULL;
	struct conf_dev *d;

	if (argc < 2)
		return vd_err(-EINVAL, "usage: %s", usage);
	*ret_d = conf_find(rd->c, argv[0]);
	if (*ret_d)
		return 0;
	vd_list_for_each(d, &rd->c->devs, node)
		best = vd_guess(argv[0], best, d->name);
	return vd_err_guess(vd_err(-ENODEV, "no device \"%s\" above", argv[0]), best);
}

static int bind_driver(struct reader *rd, int argc, char **argv)
{
	struct conf_dev *d;
	struct json_object *attrs = NULL;
	int r = of_dev(rd, argc, argv, "dev bind DEV DRIVER [ KEY VALUE ]...", &d);

	if (!r && param(d->params, "driver"))
		r = vd_err(-EEXIST, "%s has a driver already, %s", d->name,
			   param(d->params, "driver"));
	if (!r)
		r = vd_words_attrs(argc - 2, argv + 2, &attrs);
	if (r)
		return r;
	json_object_object_add(d->params, "driver", json_object_new_string(argv[1]));
	json_object_object_add(d->params, "driver_attrs", attrs);
	r = check(rd, d->params);
	if (r) {
		json_object_object_del(d->params, "driver");
		json_object_object_del(d->params, "driver_attrs");
	}
	return r;
}

static int override(struct reader *rd, int argc, char **argv)
{
	static const char usage[] = "dev override DEV DRIVER";
	struct conf_dev *d;
	int r = of_dev(rd, argc, argv, usage, &d);

	if (!r && argc != 2)
		r = vd_err(-EINVAL, "usage: %s", usage);
	if (!r && param(d->params, "driver_override"))
		r = vd_err(-EEXIST, "%s has an override already, %s", d->name,
			   param(d->params, "driver_override"));
	if (r || !*argv[1])
		return r;
	json_object_object_add(d->params, "driver_override", json_object_new_string(argv[1]));
	r = check(rd, d->params);
	if (r)
		json_object_object_del(d->params, "driver_override");
	return r;
}

static int command(struct reader *rd, int argc, char **argv)
{
	static const struct {
		const char *word;
		int (*fn)(struct reader *rd, int argc, char **argv);
	} verbs[] = { { "add", add }, { "bind", bind_driver }, { "override", override } };
	const char *best = NULL;

	if (strcmp(argv[0], "dev"))
		return vd_err_guess(vd_err(-EINVAL, "\"%s\" is not \"dev\"", argv[0]),
				    vd_guess(argv[0], NULL, "dev"));
	for (size_t i = 0; argc > 1 && i < VD_ARRAY_SIZE(verbs); i++) {
		if (!strcmp(argv[1], verbs[i].word))
			return verbs[i].fn(rd, argc - 2, argv + 2);
		best = vd_guess(argv[1], best, verbs[i].word);
	}
	return vd_err_guess(vd_err(-EINVAL, "\"%s\" behind \"dev\", not add, bind or override",
				   argc > 1 ? argv[1] : ""), best);
}

/* ---- files ---------------------------------------------------------------------------------- */

static void fault(struct conf *c, unsigned int line, const char *sentence)
{
	if (++c->nfaults <= CONF_FAULTS_MAX)
		c->fault(c, line, sentence);
}

int conf_parse(struct conf *c, struct uvdpa *u, const char *text, size_t len)
{
	struct vd_lines l = { .p = text, .end = text + len };
	struct reader rd = { .c = c, .u = u };
	int r;

	vd_list_init(&c->devs);
	while ((r = vd_lines_next(&l))) {
		rd.line = l.number;
		if (r > 0)
			r = command(&rd, (int)l.n, l.words);
		if (r == -ENOMEM) {
			vd_lines_fini(&l);
			return r;
		}
		if (r < 0)
			fault(c, l.number, vd_err_text());
	}
	vd_lines_fini(&l);
	if (c->nfaults > CONF_FAULTS_MAX) {
		vd_err(-EINVAL, "%u faults more", c->nfaults - CONF_FAULTS_MAX);
		c->fault(c, 0, vd_err_text());
	}
	return c->nfaults ? vd_err(-EINVAL, "%s: %u faults", c->path, c->nfaults) : 0;
}

/* All of a descriptor, unless it is more than @max bytes. Return: 0; -errno; @ret is the caller's in any case. */
static int read_all(int fd, size_t max, char **ret, size_t *ret_len)
{
	size_t room = READ_FIRST;
	ssize_t n = 0;

	for (;;) {
		char *p = realloc(*ret, room);

		if (!p)
			return -ENOMEM;
		*ret = p;
		while (*ret_len < room && (n = read(fd, p + *ret_len, room - *ret_len)) > 0)
			*ret_len += (size_t)n;
		if (*ret_len < room)
			return n ? -errno : 0;
		if (room > max)
			return -EFBIG;
		room *= 2;
	}
}

int conf_text(const struct conf *c, char **ret, size_t *ret_len)
{
	vd_cleanup(vd_closep) int fd = open(c->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	size_t max = c->clients ? SIZE_MAX / 2 : CONF_SIZE_MAX;
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st))
		return vd_err(-errno, "%s: %m", c->path);
	/* /dev/null is one, too; what could keep us waiting is not. */
	if (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode))
		return vd_err(-EINVAL, "%s: not a file", c->path);
	r = read_all(fd, max, ret, ret_len);
	if (r == -EFBIG || *ret_len > max)
		return vd_err(-EFBIG, "%s: longer than %u bytes", c->path, CONF_SIZE_MAX);
	errno = -r;
	return r ? vd_err(r, "%s: %m", c->path) : 0;
}

int conf_read(struct conf *c, struct uvdpa *u)
{
	char *text = NULL;
	size_t len = 0;
	int r;

	vd_list_init(&c->devs);
	r = conf_text(c, &text, &len);
	if (!r)
		r = conf_parse(c, u, text, len);
	free(text);
	return r;
}

static void print_fault(struct conf *c, unsigned int line, const char *sentence)
{
	if (line)
		fprintf(stderr, "%s:%u: %s\n", c->path, line, sentence);
	else
		fprintf(stderr, "%s: %s\n", c->path, sentence);
}

int conf_check(const char *path)
{
	struct conf c = { .path = path, .fault = print_fault };
	struct uvdpa *u;
	int r;

	if (uvdpa_create(&u)) {
		fprintf(stderr, "uvdpad: %s\n", uvdpa_error());
		return EXIT_FAILURE;
	}
	r = conf_read(&c, u);
	if (r && !c.nfaults)
		fprintf(stderr, "uvdpad: %s\n", vd_err_text());
	else if (!r)
		printf("%s: %u devices\n", path, c.n);
	conf_fini(&c);
	uvdpa_destroy(u);
	return r ? EXIT_FAILURE : EXIT_SUCCESS;
}
