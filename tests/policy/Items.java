// SPDX-License-Identifier: MIT
// Policies from standard input, each with its length (4 bytes, big-endian) before it; a line each on standard output: the
// items as items.c prints them, or "refused".
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.antlr.v4.runtime.*;
import org.antlr.v4.runtime.tree.ParseTreeWalker;

public class Items extends PolicyBaseListener {
    private static final int DIGITS_MAX = 24;
    private static final Map<String, String> TERMS = Map.of("D_hat", "tolD", "coh_star", "tolCoh", "budget", "tolBudget");
    private static final Map<String, Integer> SECONDS = Map.of("seconds", 1, "minutes", 60, "hours", 3600, "days", 86400);
    private final StringBuilder out = new StringBuilder();
    private boolean refused;
    private int alternative;

    private void item(String name, Object... fields) {
        out.append(out.length() == 0 ? "[\"" : ",[\"").append(name).append('"');
        for (Object field : fields) {
            out.append(',').append(field instanceof String ? "\"" + field + "\"" : field);
        }
        out.append(']');
    }

    private double number(Token token) {
        refused |= token.getText().length() > DIGITS_MAX;
        return Double.parseDouble(token.getText());
    }

    private double number(org.antlr.v4.runtime.tree.TerminalNode node) {
        return number(node.getSymbol());
    }

    private static String name(org.antlr.v4.runtime.tree.TerminalNode text) {
        return text.getText().substring(1, text.getText().length() - 1);
    }

    @Override public void enterPolicy(PolicyParser.PolicyContext at) { item("policy", name(at.TEXT())); }
    @Override public void enterKeep(PolicyParser.KeepContext at) { item("keep", number(at.NUMBER()), SECONDS.get(at.UNIT().getText())); }
    @Override public void enterShard(PolicyParser.ShardContext at) { item("shard", name(at.TEXT())); }
    @Override public void exitShard(PolicyParser.ShardContext at) { item("end"); }
    @Override public void enterTolerance(PolicyParser.ToleranceContext at) { item("tolerance", TERMS.get(at.bounded.getText()), number(at.NUMBER())); }
    @Override public void enterMedian(PolicyParser.MedianContext at) { item("median", at.which.getText()); }
    @Override public void enterSticky(PolicyParser.StickyContext at) { item("sticky", number(at.NUMBER(0)), number(at.NUMBER(1))); }
    @Override public void enterNonSticky(PolicyParser.NonStickyContext at) { item("non_sticky", number(at.NUMBER())); }
    @Override public void enterMixed(PolicyParser.MixedContext at) { item("mixed"); }
    @Override public void enterBudget(PolicyParser.BudgetContext at) { item("budget"); }
    @Override public void enterBase(PolicyParser.BaseContext at) { item("weight", "base", number(at.NUMBER())); }
    @Override public void enterGamma(PolicyParser.GammaContext at) { item("weight", "gamma", number(at.NUMBER())); }

    @Override public void enterAlpha(PolicyParser.AlphaContext at) {
        refused |= number(at.one) != 1;
        item("weight", "alpha", number(at.NUMBER(0)));
    }

    @Override public void enterBeta(PolicyParser.BetaContext at) {
        refused |= number(at.zero) != 0;
        item("weight", "beta", number(at.NUMBER(0)), number(at.d0));
    }

    @Override public void enterEscalate(PolicyParser.EscalateContext at) {
        item("escalate", name(at.TEXT()));
        alternative = -1;
    }

    @Override public void enterAlternative(PolicyParser.AlternativeContext at) { alternative++; }

    @Override public void enterComparison(PolicyParser.ComparisonContext at) {
        double value = number(at.NUMBER());
        item("condition", alternative, at.signal().getText(), at.compare.getText(), at.minus == null ? value : -value);
    }

    @Override public void enterDegraded(PolicyParser.DegradedContext at) {
        item("condition", alternative, "degraded", "==", at.no == null ? 1 : 0);
    }

    private static String read(byte[] text) {
        boolean[] refused = {false};
        BaseErrorListener listener = new BaseErrorListener() {
            @Override public void syntaxError(Recognizer<?, ?> who, Object symbol, int line, int column, String said, RecognitionException e) {
                refused[0] = true;
            }
        };
        PolicyLexer lexer = new PolicyLexer(CharStreams.fromString(new String(text, StandardCharsets.ISO_8859_1)));
        PolicyParser parser = new PolicyParser(new CommonTokenStream(lexer));
        lexer.removeErrorListeners();
        lexer.addErrorListener(listener);
        parser.removeErrorListeners();
        parser.addErrorListener(listener);
        PolicyParser.PolicyContext tree = parser.policy();
        Items items = new Items();
        if (!refused[0]) {
            ParseTreeWalker.DEFAULT.walk(items, tree);
        }
        return refused[0] || items.refused ? "refused" : "[" + items.out + "]";
    }

    public static void main(String[] arguments) throws IOException {
        DataInputStream in = new DataInputStream(new java.io.BufferedInputStream(System.in));
        PrintStream out = new PrintStream(new java.io.BufferedOutputStream(System.out));
        try {
            while (true) {
                byte[] text = new byte[in.readInt()];
                in.readFully(text);
                out.println(read(text));
            }
        } catch (EOFException end) {
            out.flush();
        }
    }
}
