/* optlist.c: prints the table of options as the manual's list or as a completion for bash; it runs
 * while dnsd is built. Knows conf.h's table and the two forms; never values or files. */
#include "conf.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define LINE_MAX_LEN 78 /* columns of a line of mdoc source */
#define WORD_MAX_LEN 160

/* ---- mdoc ------------------------------------------------------------------------------------ */

/* The source line that is being written: its length. */
static size_t column;

static void end_line(void)
{
    if (column > 0)
        putchar('\n');
    column = 0;
}

static void put_plain(const char *word, size_t len)
{
    if (column > 0 && column + 1 + len > LINE_MAX_LEN)
        end_line();
    if (column > 0)
        putchar(' ');
    else if (word[0] == '.' || word[0] == '\'')
        fputs("\\&", stdout);
    column += len + 1;
    for (size_t i = 0; i < len; i++) {
        if (word[i] == '\\')
            fputs("\\e", stdout);
        else if (word[i] == '-' && i == 0)
            fputs("\\-", stdout);
        else
            putchar(word[i]);
    }
}

/* A macro has a line of its own: ".Fl forward ,". */
static void put_macro(const char *macro, const char *word, size_t len, const char *marks)
{
    end_line();
    printf(".%s %.*s", macro, (int)len, word);
    for (; *marks != '\0'; marks++)
        printf(" %c", *marks);
    putchar('\n');
}

static bool is_option(const char *name, size_t len)
{
    for (size_t i = 0; i < conf_n_rows(); i++) {
        const char *own = conf_row(i)->name;
        if (strlen(own) == len && memcmp(own, name, len) == 0)
            return true;
    }
    return false;
}

/* Whether the word is the row's argument: SERVER of "[SERVER]". */
static bool is_argument(const struct conf_row *row, const char *word, size_t len)
{
    const char *own = row->argument;

    if (own == NULL || row->words != NULL)
        return false;
    own += own[0] == '[';
    return strspn(own, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == len && memcmp(own, word, len) == 0;
}

/* One word of running text, with what marks the manual gives to its kind. */
static void put_word(const struct conf_row *row, const char *word, size_t word_len)
{
    char buf[WORD_MAX_LEN];
    size_t len = word_len;
    const char *marks;

    if (word_len >= sizeof(buf)) {
        put_plain(word, word_len);
        return;
    }
    memcpy(buf, word, word_len);
    buf[word_len] = '\0';
    while (len > 0 && strchr(".,;:)", buf[len - 1]) != NULL)
        len--;
    marks = buf + len;

    if (buf[0] == '-' && len > 1 && is_option(buf + 1, len - 1)) {
        put_macro("Fl", buf + 1, len - 1, marks);
    } else if (strncmp(buf, "poison.conf(5)", 14) == 0) {
        put_macro("Xr", "poison.conf 5", 13, buf + 14);
    } else if (strncmp(buf, "dnsd.conf(5)", 12) == 0) {
        put_macro("Xr", "dnsd.conf 5", 11, buf + 12);
    } else if (strncmp(buf, "resolv.conf(5)", 14) == 0) {
        put_macro("Xr", "resolv.conf 5", 13, buf + 14);
    } else if (is_argument(row, buf, len)) {
        put_macro("Ar", buf, len, marks);
    } else {
        put_plain(buf, word_len);
        if (buf[word_len - 1] == '.') /* mdoc wants a line for each sentence */
            end_line();
    }
}

static void put_text(const struct conf_row *row, const char *text)
{
    while (*text != '\0') {
        size_t len = strcspn(text, " ");
        if (len > 0)
            put_word(row, text, len);
        text += len;
        text += *text == ' ';
    }
}

/* "A duration from 10ms to 1h, such as 2, 500ms or 15m; the default is 2s." Lists, words and names
 * of files say in the manual's text what they take. */
static void put_default(const struct conf_row *row)
{
    char text[512];

    if (row->fallback == NULL)
        return;
    if (row->words != NULL || row->repeatable || strcmp(row->argument, "FILE") == 0)
        snprintf(text, sizeof(text), "The default is %s.", row->fallback);
    else
        snprintf(text, sizeof(text), "%c%s; the default is %s.", toupper(row->expected[0]),
            row->expected + 1, row->fallback);
    put_text(row, text);
}

static void put_item(const struct conf_row *row)
{
    const char *argument = row->argument;

    printf(".It Fl %s", row->name);
    if (row->words != NULL && argument != NULL) {
        for (size_t i = 0; row->words[i] != NULL; i++)
            printf(" %s %s", i == 0 ? "Cm" : "| Cm", row->words[i]);
    } else if (argument != NULL && argument[0] == '[') {
        printf(" Op Ar %.*s", (int)(strlen(argument) - 2), argument + 1);
    } else if (argument != NULL) {
        const char *rest = strchr(argument, '[');
        size_t len = rest != NULL ? (size_t)(rest - argument) : strlen(argument);
        printf(" Ar %.*s", (int)len, argument);
        if (rest != NULL)
            printf(" Ns Op : Ns Ar %.*s", (int)strcspn(rest + 2, "]"), rest + 2);
    }
    putchar('\n');
    put_text(row, row->manual);
    put_default(row);
    if (row->repeatable)
        put_text(row, "May be given more than once.");
    if (row->command_line_only)
        put_text(row, "Only on the command line.");
    if (row->at_start_only)
        put_text(row, "A change needs a restart.");
    end_line();
}

static void print_mdoc(void)
{
    const char *group = "";

    for (size_t i = 0; i < conf_n_rows(); i++) {
        const struct conf_row *row = conf_row(i);
        if (strcmp(group, row->group) != 0) {
            if (i > 0)
                puts(".El");
            group = row->group;
            printf(".Ss %s\n.Bl -tag -width Ds\n", group);
        }
        put_item(row);
    }
    puts(".El");
}

/* ---- bash ------------------------------------------------------------------------------------ */

static void print_bash_value(const struct conf_row *row)
{
    printf("    -%s | --%s)\n", row->name, row->name);
    if (row->words != NULL) {
        fputs("        mapfile -t COMPREPLY < <(compgen -W '", stdout);
        for (size_t i = 0; row->words[i] != NULL; i++)
            printf("%s%s", i == 0 ? "" : " ", row->words[i]);
        puts("' -- \"$cur\")");
    } else if (strcmp(row->argument, "FILE") == 0) {
        puts("        compopt -o filenames 2> /dev/null\n"
             "        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")");
    } else if (strcmp(row->name, "user") == 0) {
        puts("        mapfile -t COMPREPLY < <(compgen -u -- \"$cur\")");
    }
    puts("        return\n        ;;");
}

static void print_bash(void)
{
    puts("# bash completion for dnsd, made from its table of options\n"
         "_dnsd()\n"
         "{\n"
         "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
         "    local after_equals=\n"
         "\n"
         "    COMPREPLY=()\n"
         "    if [[ $cur == = ]]; then # bash makes a word of it\n"
         "        cur='' after_equals=yes\n"
         "    elif [[ $prev == = && $COMP_CWORD -ge 2 ]]; then\n"
         "        prev=${COMP_WORDS[COMP_CWORD - 2]} after_equals=yes\n"
         "    fi\n"
         "    case $prev in");
    for (size_t i = 0; i < conf_n_rows(); i++) {
        const struct conf_row *row = conf_row(i);
        if (row->argument != NULL && row->argument[0] != '[')
            print_bash_value(row);
    }
    puts("    esac\n"
         "    [[ -n $after_equals ]] && return\n"
         "    mapfile -t COMPREPLY < <(compgen -W '");
    for (size_t i = 0; i < conf_n_rows(); i++)
        printf("        -%s\n", conf_row(i)->name);
    puts("    ' -- \"$cur\")\n"
         "}\n"
         "complete -F _dnsd dnsd");
}

int main(int argc, char **argv)
{
    const char *form = argc == 2 ? argv[1] : "";

    if (strcmp(form, "mdoc") == 0) {
        print_mdoc();
    } else if (strcmp(form, "bash") == 0) {
        print_bash();
    } else {
        fputs("usage: optlist mdoc|bash\n", stderr);
        return 2;
    }
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
