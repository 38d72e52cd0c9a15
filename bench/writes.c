/*
 * The least a claim can cost: the same writes, in the same order, by a program that does nothing else.
 *
 *     writes FILE        lines "path<TAB>text"; "chown UID:GID" and "chmod MODE" are calls, not writes
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int perform(const char *path, const char *text)
{
	unsigned int uid, gid, mode;

	if (sscanf(text, "chown %u:%u", &uid, &gid) == 2)
		return chown(path, uid, gid);
	if (sscanf(text, "chmod %o", &mode) == 1)
		return chmod(path, mode);

	char line[256];
	int length = snprintf(line, sizeof(line), "%s\n", text);
	int fd = open(path, O_WRONLY);
	if (fd < 0)
		return -1;
	ssize_t written = write(fd, line, length);
	close(fd);
	return written == length ? 0 : -1;
}

int main(int argc, char **argv)
{
	char line[1024];
	FILE *list = argc == 2 ? fopen(argv[1], "r") : NULL;

	if (list == NULL)
		return 2;
	while (fgets(line, sizeof(line), list) != NULL) {
		line[strcspn(line, "\n")] = 0;
		char *tab = strchr(line, '\t');
		if (tab == NULL)
			return 2;
		*tab = 0;
		if (perform(line, tab + 1) != 0) {
			perror(line);
			return 1;
		}
	}
	return 0;
}
