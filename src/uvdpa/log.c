/* SPDX-License-Identifier: BSD-2-Clause */
/* log.c - how much the daemon says */
#include "uvdpa/cmd.h"

/* As uvdpad's --log-level has it. */
static int print_levels(struct json_object *result)
{
	struct json_object *log, *level, *parts;

	if (!json_object_object_get_ex(result, "log", &log) ||
	    !json_object_object_get_ex(log, "level", &level) ||
	    !json_object_object_get_ex(log, "parts", &parts) ||
	    !json_object_is_type(parts, json_type_object))
		return print_error("uvdpad's answer to log.show has no levels");
	printf("%s", json_object_get_string(level));
	json_object_object_foreach(parts, part, own)
	{
		printf(",%s=%s", part, json_object_get_string(own));
	}
	putchar('\n');
	return 0;
}

int log_show(const struct cmd *cmd, int argc, char **argv)
{
	struct json_object *result;
	int r = client_call(cmd, "log.show", NULL, &result);

	(void)argc, (void)argv;
	if (r)
		return r;
	if (cmd->json) {
		print_result(cmd, result, PRINT_LINE);
		return 0;
	}
	r = print_levels(result);
	json_object_put(result);
	return r;
}

static int set(const struct cmd *cmd, int argc, char **argv)
{
	struct json_object *params = words_param("level", argv[0]);

	if (argc > 1)
		json_object_object_add(params, "part", json_object_new_string(argv[1]));
	return client_do(cmd, "log.set", params);
}

const struct cmd_verb log_verbs[] = {
	{ .name = "show",
	  .help = "the levels, as uvdpad's --log-level takes them",
	  .fn = log_show },
	{ .name = "set",
	  .args = "LEVEL [ PART ]",
	  .help = "set that of all, or of a part; default: it has none of its own",
	  .fn = set },
	{ 0 },
};
