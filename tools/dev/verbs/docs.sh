# print the reference pages of commands and config anew from the program
source tools/dev/common.sh

bash tools/dev/verbs/build.sh
for page in commands config; do
  build/checkvalve man --page "$page" >"docs/reference/$page.md"
done
say "made docs/reference/commands.md and docs/reference/config.md"
