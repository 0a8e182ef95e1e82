/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of lines, and of the words and parameters that they hold. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/util.h"
#include "control/line.h"
#include "control/words.h"

/* What is found, as text: "NUMBER:[word][word];NUMBER!sentence;" */
static void read_all(const char *text, size_t len, char *found, size_t room)
{
	struct vd_lines l = { .p = text, .end = text + len };
	FILE *f = fmemopen(found, room, "w");
	int r;

	assert_non_null(f);
	*found = '\0'; /* nothing is written of nothing */
	while ((r = vd_lines_next(&l))) {
		fprintf(f, "%u%c", l.number, r < 0 ? '!' : ':');
		if (r < 0)
			fputs(vd_err_text(), f);
		for (unsigned int i = 0; r > 0 && i < l.n; i++)
			fprintf(f, "[%s]", l.words[i]);
		assert_true(r < 0 || !l.words[l.n]);
		putc(';', f);
	}
	assert_ptr_equal(l.p, l.end);
	vd_lines_fini(&l);
	fclose(f);
}

static void lines(void **state)
{
	static const struct {
		const char *text, *found;
	} cases[] = {
		{ "", "" },
		{ "\n\n \t\r\n", "" },
		{ "a", "1:[a];" },
		{ "a b\n\n c\td \r\n", "1:[a][b];3:[c][d];" },
		/* comments */
		{ "# a\na # b \\\nb#c '#'", "2:[a];3:[b#c][#];" },
		{ "#a'b\n#c", "" },
		/* quotes */
		{ "'a  b' 'c'd'e'", "1:[a  b][cde];" },
		{ "'' \"\" ''x", "1:[][][x];" },
		{ "'a\\b\"c'", "1:[a\\b\"c];" },
		{ "\"a'b\" \"\\\"\\\\\\$\\`\\x\"", "1:[a'b][\"\\$`\\x];" },
		{ "'a\nb' c\nx", "1:[a\nb][c];3:[x];" },
		/* a backslash */
		{ "a\\ b \\# \\'c\\\\", "1:[a b][#]['c\\];" },
		{ "a \\\nb\\\nc\nx", "1:[a][bc];4:[x];" },
		{ "\"a\\\nb\"\nc", "1:[ab];3:[c];" },
		{ "\\\n\\\na", "1:[a];" },
		{ "$HOME * ; a|b", "1:[$HOME][*][;][a|b];" },
		{ "gr\303\274n \360\237\230\200", "1:[gr\303\274n][\360\237\230\200];" },
		/* what is wrong stops its line alone */
		{ "a 'b\nc\n", "1!a quote ' is not closed;2:[c];" },
		{ "a\n\"b\\\nc\nx", "1:[a];2!a quote \" is not closed;4:[x];" },
		{ "a\\\n'b\nc", "2!a quote ' is not closed;3:[c];" },
		{ "a 'b\nc\n\377\nx", "1!behind a quote ': byte 0xff is not UTF-8;2:[c];3!byte 0xff is not "
					  "UTF-8;4:[x];" },
		{ "a \\\nb\377 \\\nc\nx", "2!byte 0xff is not UTF-8;4:[x];" },
		{ "\"a\\", "1!a quote \" is not closed;" },
		{ "a\\", "1!\\ at the end of the file;" },
		{ "a\377b\nc", "1!byte 0xff is not UTF-8;2:[c];" },
		{ "'\300\200'\nc", "1!byte 0xc0 is not UTF-8;2:[c];" },
		{ "\355\240\200", "1!byte 0xed is not UTF-8;" },
		{ "\340\237\277", "1!byte 0xe0 is not UTF-8;" },
		{ "\360\217\277\277", "1!byte 0xf0 is not UTF-8;" },
		{ "\364\220\200\200", "1!byte 0xf4 is not UTF-8;" },
		{ "\342\202", "1!byte 0xe2 is not UTF-8;" },
	};
	char found[200];

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		read_all(cases[i].text, strlen(cases[i].text), found, sizeof(found));
		assert_string_equal(found, cases[i].found);
	}
	read_all("a\0b\nc", 5, found, sizeof(found));
	assert_string_equal(found, "1!there is a NUL byte;2:[c];");
}

/* A quote that is closed nowhere is looked for once, and a long file is read in one go. */
static void a_long_file(void **state)
{
	const size_t len = 4 << 20;
	char *text = malloc(len);
	struct vd_lines l = { .p = text, .end = text + len };
	unsigned int faults = 0, commands = 0;
	int r;

	(void)state;
	assert_non_null(text);
	memcpy(text, "'\n\"\n", 4);
	for (size_t i = 4; i < len; i += 4)
		memcpy(text + i, "x\\\"\n", 4);
	while ((r = vd_lines_next(&l))) {
		faults += r < 0;
		commands += r > 0;
	}
	assert_int_equal(faults, 2);
	assert_int_equal(commands, len / 4 - 1);
	vd_lines_fini(&l);
	free(text);
}

/* So is what is wrong behind many lines that go on, and it is told once. */
static void a_long_line(void **state)
{
	static const char *const ends[] = { "\377", "'", "\"", "\\" };
	const size_t len = 4 << 20;
	char *text = malloc(len);

	(void)state;
	assert_non_null(text);
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(ends); i++) {
		struct vd_lines l = { .p = text, .end = text + len };

		for (size_t at = 0; at < len; at += 4)
			memcpy(text + at, "x \\\n", 4);
		memcpy(text + len - 3, (const char[]){ ' ', ' ', *ends[i] }, 3);
		assert_int_equal(vd_lines_next(&l), -EINVAL);
		assert_int_equal(l.number, len / 4);
		assert_int_equal(vd_lines_next(&l), 0);
		vd_lines_fini(&l);
	}
	free(text);
}

static void words_are_written_as_they_are_read(void **state)
{
	static const char *const words[] = { "a", "/run/d0.sock", "a b", "", "'", "a'b\"c", "\\", "#x",
					     "\n", "gr\303\274n", "$HOME", "~", "x=y,z", "-", "*" };
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	struct vd_lines l = { 0 };

	(void)state;
	assert_non_null(f);
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(words); i++) {
		putc(' ', f);
		vd_line_put(f, words[i]);
	}
	fclose(f);
	l.p = text;
	l.end = text + len;
	assert_int_equal(vd_lines_next(&l), 1);
	assert_int_equal(l.n, VD_ARRAY_SIZE(words));
	for (unsigned int i = 0; i < l.n; i++)
		assert_string_equal(l.words[i], words[i]);
	assert_int_equal(vd_lines_next(&l), 0);
	vd_lines_fini(&l);
	free(text);
}

static void devices(void **state)
{
	static const struct {
		const char *line, *params, *again;
	} cases[] = {
		{ "name d0 mgmtdev blk image '/a b' driver vhost-user socket /s",
		  "{\"attrs\":{\"image\":\"/a b\"},\"name\":\"d0\",\"mgmtdev\":\"blk\",\"driver\":"
		  "\"vhost-user\",\"driver_attrs\":{\"socket\":\"/s\"}}",
		  "dev add name d0 mgmtdev blk image '/a b' driver vhost-user socket /s\n" },
		{ "capacity 1M mgmtdev sim-blk device_features 0x100000000 name d0",
		  "{\"attrs\":{\"capacity\":\"1M\"},\"mgmtdev\":\"sim-blk\",\"features\":"
		  "\"0x100000000\",\"name\":\"d0\"}",
		  "dev add name d0 mgmtdev sim-blk device_features 0x100000000 capacity 1M\n" },
		{ "name d0 mgmtdev", NULL, "\"mgmtdev\" needs a value; the words are pairs: name NAME "
					   "mgmtdev MGMTDEV ..." },
		{ "name d0 name d1", NULL, "\"name\" is there twice" },
		{ "a 1 b 2 a 3", NULL, "\"a\" is there twice" },
	};

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		struct vd_lines l = { .p = cases[i].line, .end = cases[i].line + strlen(cases[i].line) };
		struct json_object *params;
		char again[200];
		FILE *f;
		int r;

		assert_int_equal(vd_lines_next(&l), 1);
		r = vd_words_dev((int)l.n, l.words, &params);
		vd_lines_fini(&l);
		assert_int_equal(r, cases[i].params ? 0 : -EINVAL);
		if (r) {
			assert_string_equal(vd_err_text(), cases[i].again);
			continue;
		}
		assert_string_equal(json_object_to_json_string_ext(
					    params, JSON_C_TO_STRING_PLAIN |
							    JSON_C_TO_STRING_NOSLASHESCAPE),
				    cases[i].params);
		f = fmemopen(again, sizeof(again), "w");
		assert_non_null(f);
		vd_words_put_dev(f, params);
		fclose(f);
		assert_string_equal(again, cases[i].again);
		json_object_put(params);
	}
}

static void an_override_is_a_line_of_its_own(void **state)
{
	struct json_object *params = json_tokener_parse(
		"{\"name\":\"d0\",\"mgmtdev\":\"rng\",\"attrs\":{},\"driver_override\":\"no one\"}");
	char text[100];
	FILE *f = fmemopen(text, sizeof(text), "w");

	(void)state;
	assert_non_null(f);
	vd_words_put_dev(f, params);
	fclose(f);
	assert_string_equal(text, "dev add name d0 mgmtdev rng\ndev override d0 'no one'\n");
	json_object_put(params);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines),
		cmocka_unit_test(a_long_file),
		cmocka_unit_test(a_long_line),
		cmocka_unit_test(words_are_written_as_they_are_read),
		cmocka_unit_test(devices),
		cmocka_unit_test(an_override_is_a_line_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
