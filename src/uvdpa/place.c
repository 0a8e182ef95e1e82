/* SPDX-License-Identifier: BSD-2-Clause */
/* place.c - a device by its word; see place.h */
#include "uvdpa/place.h"

#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int place_add(struct place *p, const char *key, const char *value)
{
	if (p->n == PLACE_ATTRS_MAX)
		return print_error("%s: more than %u options", p->word, PLACE_ATTRS_MAX);
	p->attrs[p->n++] = (struct uvdpa_attr){ key, value };
	return 0;
}

const char *place_get(const struct place *p, const char *key)
{
	for (unsigned int i = 0; i < p->n; i++)
		if (!strcmp(p->attrs[i].key, key))
			return p->attrs[i].value;
	return NULL;
}

/* ---- MGMTDEV:KEY=VALUE,... ------------------------------------------------------------------ */

/* Cut at the next comma; two are one that belongs to the value. Return: what follows, or NULL. */
static char *cut(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (*s == ',' && *++s != ',') {
			*to = '\0';
			return s;
		}
		*to++ = *s;
	}
	*to = '\0';
	return NULL;
}

int place_of_options(struct place *p)
{
	char *s, *next, *eq;

	p->text = strdup(p->word);
	if (!p->text)
		return print_error("no memory");
	p->mgmtdev = p->text;
	s = strchr(p->text, ':');
	for (*s++ = '\0'; s && *s; s = next) {
		next = cut(s);
		eq = strchr(s, '=');
		if (!eq || eq == s)
			return print_error("%s: \"%s\" is not KEY=VALUE", p->word, s);
		*eq = '\0';
		if (place_add(p, s, eq + 1))
			return -1;
	}
	return 0;
}

/* ---- a socket ------------------------------------------------------------------------------- */

int place_of_socket(struct place *p, const char *path)
{
	p->mgmtdev = "vhost-user";
	return place_add(p, "socket", path) || place_add(p, "device_id", p->type) ? -1 : 0;
}

/* ---- a device of the daemon ----------------------------------------------------------------- */

/* {WHAT: {NAME: O}}. Return: a value of O, or NULL. */
static struct json_object *find(struct json_object *result, const char *what, const char *name,
				const char *key)
{
	struct json_object *o;

	return json_object_object_get_ex(result, what, &o) &&
			       json_object_object_get_ex(o, name, &o) &&
			       json_object_object_get_ex(o, key, &o)
		       ? o
		       : NULL;
}

static const char *find_str(struct json_object *result, const char *what, const char *name,
			    const char *key)
{
	return json_object_get_string(find(result, what, name, key));
}

/* Beside the daemon's own socket: that folder is the same for both. The caller's. */
static char *socket_path(const struct place *p)
{
	char *control = realpath(p->cmd->socket, NULL), *path;

	if (!control ||
	    asprintf(&path, "%s/%s.%d.sock", dirname(control), p->word, (int)getpid()) < 0)
		path = NULL;
	free(control);
	return path;
}

static int bind_it(struct place *p, const char *path)
{
	struct json_object *params = words_param("name", p->word);

	json_object_object_add(params, "driver", json_object_new_string("vhost-user"));
	json_object_object_add(params, "attrs", words_param("socket", path));
	if (client_do(p->cmd, "dev.bind", params))
		return -1;
	p->bound = strdup(path);
	return p->bound ? 0 : print_error("no memory");
}

/* It waits for a virtual machine, say; while none is there we can be its front-end. */
static int attach_to(struct place *p)
{
	struct json_object *result;
	const char *path;

	if (client_call(p->cmd, "dev.describe", words_param("name", p->word), &result))
		return -1;
	path = find_str(result, "describe", p->word, "socket");
	p->text = path ? strdup(path) : NULL;
	json_object_put(result);
	return p->text ? 0 : print_error("%s: the daemon does not tell its socket", p->word);
}

static int has_it(struct place *p, struct json_object *shown)
{
	const char *type = find_str(shown, "dev", p->word, "type");
	const char *driver = find_str(shown, "dev", p->word, "driver");
	const char *status = find_str(shown, "dev", p->word, "status");
	struct json_object *random = find(shown, "dev", p->word, "random");
	int64_t size = json_object_get_int64(find(shown, "dev", p->word, "max_vq_size"));

	if (!type || strcmp(type, p->type) != 0)
		return print_error("%s is no %s device", p->word, p->type);
	p->fixed = random && !json_object_get_boolean(random);
	if (size > 0)
		snprintf(p->queue_size, sizeof(p->queue_size), "%" PRId64, size);
	if (!driver) {
		p->text = socket_path(p);
		return p->text ? bind_it(p, p->text) : print_error("%s: no memory", p->word);
	}
	if (strcmp(driver, "vhost-user") != 0)
		return print_error("%s is bound to %s; \"uvdpa dev unbind %s\" first", p->word,
				   driver, p->word);
	if (!status || strcmp(status, "[ ]") != 0)
		return print_error("%s is bound to vhost-user and in use by a front-end; end that "
				   "one, or \"uvdpa dev unbind %s\" first",
				   p->word, p->word);
	return attach_to(p);
}

int place_of_name(struct place *p)
{
	struct json_object *shown;
	int r = client_call(p->cmd, "dev.show", words_param("name", p->word), &shown);

	if (r) {
		if (!access(p->word, F_OK))
			print_error("%s is a file here: a path has a slash, ./%s", p->word,
				    p->word);
		return r;
	}
	r = has_it(p, shown);
	json_object_put(shown);
	if (!r)
		r = place_of_socket(p, p->text);
	return r || !p->queue_size[0] ? r : place_add(p, "queue_size", p->queue_size);
}

/*
 * Somebody may have bound it to something else meanwhile: that stays. A daemon that is gone may
 * have left its socket.
 */
static int unbind(struct place *p)
{
	struct json_object *result;
	const char *path;
	int r = client_call(p->cmd, "dev.describe", words_param("name", p->word), &result);

	if (!r) {
		path = find_str(result, "describe", p->word, "socket");
		if (path && !strcmp(path, p->bound))
			r = client_do(p->cmd, "dev.unbind", words_param("name", p->word));
		json_object_put(result);
	}
	if (r)
		unlink(p->bound);
	return r;
}

int place_end(struct place *p)
{
	int r = p->bound ? unbind(p) : 0;

	free(p->bound);
	free(p->text);
	return r;
}
